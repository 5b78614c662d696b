from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from custodes.env.check import RULES, check_env
from custodes.errors import CustodesError
from custodes.interface import Observation, Step
from tests.env.counter import Counter

Change = Callable[[Step], Step]


def changed(change: Change) -> Counter:
    """A counter whose steps are passed through `change`."""

    class Changed(Counter):
        def step(self, actions: Tensor) -> Step:
            return change(super().step(actions))

    return Changed()


def seen(change: Callable[[Observation], Observation]) -> Counter:
    """A counter whose observations are passed through `change`."""

    class Seen(Counter):
        def look(self, count: Tensor) -> Observation:
            return change(super().look(count))

    return Seen()


class WideInputs(Counter):
    inputs = 3


class NoAgents(Counter):
    agents = 0


class FloatSlots(Counter):
    def __init__(self) -> None:
        super().__init__()
        self.slots = torch.tensor(4)  # type: ignore[assignment]  # wrong on purpose


class WritesActions(Counter):
    def step(self, actions: Tensor) -> Step:
        step = super().step(actions)
        actions.zero_()
        return step


class OneBuffer(Counter):
    """Returns the same reward tensor again and again."""

    def __init__(self) -> None:
        super().__init__()
        self.buffer = torch.zeros((4, 2))

    def step(self, actions: Tensor) -> Step:
        step = super().step(actions)
        return replace(step, reward=self.buffer.copy_(step.reward))


class OneFirstBuffer(Counter):
    """Writes into the observation that reset returned."""

    def reset(self) -> Observation:
        self.first = super().reset()
        return self.first

    def step(self, actions: Tensor) -> Step:
        self.first.central.fill_(7)
        return super().step(actions)


class LiveState(Counter):
    """Hands out its own memory as the state."""

    def step(self, actions: Tensor) -> Step:
        own = self.count
        step = super().step(actions)
        self.count = own.copy_(self.count)
        return step

    def state(self) -> dict[str, Tensor]:
        return super().state() | {"count": self.count}


class Unseeded(Counter):
    """Keeps its generator over resets."""

    def reset(self) -> Observation:
        self.count = torch.zeros(self.slots, dtype=torch.int64)
        return self.look(self.count)


class AnotherStart(Counter):
    """Starts the first slot at 1 or 0 in turn."""

    resets = 0

    def reset(self) -> Observation:
        super().reset()
        self.resets += 1
        self.count[0] = self.resets % 2
        return self.look(self.count)


class ForgetsGenerator(Counter):
    def load_state(self, state: dict[str, Tensor]) -> Observation:
        self.count = state["count"].clone()
        return self.look(self.count)


class ForgetsGeneratorQuietly(Counter):
    def state(self) -> dict[str, Tensor]:
        return {"count": self.count.clone()}

    def load_state(self, state: dict[str, Tensor]) -> Observation:
        self.count = state["count"].clone()
        return self.look(self.count)


class ShowsTheStart(Counter):
    def load_state(self, state: dict[str, Tensor]) -> Observation:
        super().load_state(state)
        return self.look(torch.zeros_like(self.count))


class StateMoves(Counter):
    """Taking a state draws a number."""

    def state(self) -> dict[str, Tensor]:
        state = super().state()
        torch.rand(1, generator=self.generator)
        return state


BROKEN: list[tuple[str, Callable[[], Counter]]] = [
    ("sizes", NoAgents),
    ("sizes", FloatSlots),
    ("shape", WideInputs),
    ("shape", lambda: changed(lambda step: replace(step, reward=step.reward[:, :1]))),
    ("shape", lambda: changed(lambda step: replace(step, terminated=step.terminated.unsqueeze(1)))),
    ("shape", lambda: seen(lambda view: replace(view, mask=torch.ones((4, 3), dtype=torch.bool)))),
    ("dtype", lambda: changed(lambda step: replace(step, truncated=step.truncated.to(torch.int64)))),
    ("dtype", lambda: changed(lambda step: replace(step, label=step.label.to(torch.int8)))),
    ("dtype", lambda: seen(lambda view: replace(view, central=view.central.double()))),
    ("finite", lambda: changed(lambda step: replace(step, reward=step.reward / 0))),
    ("finite", lambda: seen(lambda view: replace(view, agents=view.agents + torch.nan))),
    ("mask", lambda: seen(lambda view: replace(view, mask=torch.zeros((4, 2, 3), dtype=torch.bool)))),
    ("ends", lambda: changed(lambda step: replace(step, truncated=step.truncated | step.terminated))),
    ("decision", lambda: changed(lambda step: replace(step, decision=step.decision + 2))),
    ("decision", lambda: changed(lambda step: replace(step, decision=step.decision - 1))),
    ("worth", lambda: changed(lambda step: replace(step, worth=torch.full((4, 3), 99.0)))),
    ("successor", lambda: changed(lambda step: replace(step, successor=_shifted(step.successor)))),
    ("actions", WritesActions),
    ("fresh", OneBuffer),
    ("fresh", OneFirstBuffer),
    ("fresh", LiveState),
    ("reset", Unseeded),
    ("reset", AnotherStart),
    ("state", ForgetsGenerator),
    ("state", ForgetsGeneratorQuietly),
    ("state", ShowsTheStart),
    ("state", StateMoves),
]


def _shifted(view: Observation) -> Observation:
    return replace(view, central=view.central + 1)


@pytest.mark.parametrize("slots", [1, 4])
def test_a_sound_environment_passes(slots: int) -> None:
    check_env(Counter(slots), steps=40)


@pytest.mark.parametrize(("rule", "make"), BROKEN)
def test_a_broken_promise_is_named(rule: str, make: Callable[[], Counter]) -> None:
    with pytest.raises(CustodesError, match=f"rule '{rule}' is broken"):
        check_env(make(), steps=40)


def test_every_rule_is_broken_here() -> None:
    assert {rule for rule, _ in BROKEN} == set(RULES)


def test_no_steps_check_nothing() -> None:
    with pytest.raises(CustodesError, match="0 steps check nothing"):
        check_env(Counter(), steps=0)


def test_only_allowed_actions_are_played() -> None:
    class Strict(Counter):
        def step(self, actions: Tensor) -> Step:
            mask = self.look(self.count).mask
            assert mask is not None
            assert bool(mask.gather(2, actions.unsqueeze(2)).all())
            return super().step(actions)

    check_env(Strict(), steps=40)
