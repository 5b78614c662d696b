"""Liars in lanes: whose vote is replaced, by what, for how long; and that nothing else is."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import Tensor

from custodes.bft.attacks import ATTACKS, Situation, lie
from custodes.bft.votes import severity_decision
from custodes.env.check import check_env
from custodes.env.liars import LEARNED, LiarsConfig, LiarsEnv, draw_liars
from custodes.env.response.config import ResponseConfig
from custodes.env.response.env import ResponseEnv
from custodes.errors import CustodesError
from custodes.interface import Step
from tests.env.response.games import city, environment, rows_seen
from tests.env.test_triage import environment as triage

CITY = city()
GUILTY = torch.tensor([event.entity in {"p0"} for event in CITY.events])


def game(seed: int = 0, slots: int = 6) -> ResponseEnv:
    return environment(CITY, ResponseConfig(slots=slots), agents=4, seed=seed)


def lying(seed: int = 0, **config: Any) -> LiarsEnv:
    return LiarsEnv(game(), LiarsConfig(**{"share": 0.7, "wake": 2, **config}), GUILTY, seed=seed)


def actions(generator: torch.Generator, env: LiarsEnv | ResponseEnv) -> Tensor:
    return torch.randint(0, 4, (env.slots, env.agents), generator=generator)


def play(env: LiarsEnv | ResponseEnv, steps: int, seed: int = 0) -> list[Step]:
    generator = torch.Generator().manual_seed(seed)
    return [env.step(actions(generator, env)) for _ in range(steps)]


def test_it_keeps_the_promises_of_an_environment() -> None:
    check_env(lying(), steps=300)
    env, _ = triage(agents=4, f=1)
    check_env(LiarsEnv(env, LiarsConfig(share=0.5), torch.arange(60) % 7 == 0, seed=3), steps=200)


@pytest.mark.parametrize("attack", sorted(set(ATTACKS) - {LEARNED, "random"}))
def test_the_counted_votes_are_the_attacks(attack: str) -> None:
    env = lying(attacks=(attack,), most=2)
    seen = env.reset()
    generator = torch.Generator().manual_seed(1)
    age, lied = torch.zeros(env.slots, dtype=torch.int64), 0
    for _ in range(150):
        lies = seen.central[:, -4:].bool()
        said = actions(generator, env)
        entity = GUILTY[rows_seen(seen)].long()
        situation = Situation(votes=said, liars=lies, entity=entity, step=age, targets=(1,), wake=2)
        expected = lie(attack, situation)
        step = env.step(said)
        assert step.learns is not None
        assert torch.equal(step.learns, ~lies)
        assert torch.equal(step.decision, severity_decision(expected, 1))
        assert torch.equal(step.successor.central[:, -4:].bool(), lies)
        lied += int((expected != said).any(1).sum())
        over = step.terminated | step.truncated
        going = step.observation.central[~over, -4:].bool()
        assert torch.equal(going, lies[~over]), "who lies holds until the lane ends"
        age = torch.where(over, 0, age + 1)
        seen = step.observation
    assert lied > 10 or attack == "target"


def test_random_liars_say_anything() -> None:
    env = lying(attacks=("random",), share=1.0, most=1)
    env.reset()
    allowing = torch.zeros(env.slots, 4, dtype=torch.int64)
    blocking = torch.full_like(allowing, 3)
    decided = torch.stack(
        [env.step(allowing).decision for _ in range(60)] + [env.step(blocking).decision for _ in range(60)]
    )
    # One liar of four, alone: never contains the healthy, never saves what all others contain.
    assert bool((decided[:60] == 0).all())
    assert bool((decided[60:] >= 2).all())


def test_shares_numbers_and_weights_are_as_asked() -> None:
    generator = torch.Generator().manual_seed(0)
    drawn = draw_liars(6000, 7, 2, generator)
    counts = torch.bincount(drawn.sum(1), minlength=8) / 6000
    assert counts[1] == pytest.approx(0.5, abs=0.03)
    assert counts[2] == pytest.approx(0.5, abs=0.03)
    assert (drawn.float().mean(0) - 1.5 / 7).abs().max() < 0.02
    env = LiarsEnv(
        game(slots=2000), LiarsConfig(share=0.25, attacks=("flip", "collude"), weights=(1.0, 3.0)), GUILTY, seed=1
    )
    state = env.state()
    lies = state["liars.lies"].any(1)
    assert float(lies.float().mean()) == pytest.approx(0.25, abs=0.04)
    assert float((state["liars.attack"] == 1).float().mean()) == pytest.approx(0.75, abs=0.04)


def test_the_games_own_chance_is_untouched() -> None:
    """Liars that change no vote leave the very game that is played without them."""
    env = lying(attacks=("sleeper",), wake=10**9)
    env.reset()
    plain = game()
    plain.reset()
    for one, other in zip(play(env, 120), play(plain, 120), strict=True):
        assert torch.equal(one.reward, other.reward)
        assert torch.equal(one.decision, other.decision)
        assert torch.equal(one.observation.agents, other.observation.agents)
        assert torch.equal(one.observation.central[:, :-4], other.observation.central)
        assert other.learns is None


def test_same_seed_same_liars_and_another_seed_others() -> None:
    plays = []
    for seed in (0, 0, 1):
        env = lying(seed)
        env.reset()
        plays.append(torch.stack([step.learns for step in play(env, 60) if step.learns is not None]))
    assert torch.equal(plays[0], plays[1])
    assert not torch.equal(plays[0], plays[2])


def test_foreign_states_are_refused() -> None:
    env = lying()
    state = env.state()
    with pytest.raises(CustodesError, match=r"liars\.lies"):
        env.load_state(game().state())
    with pytest.raises(CustodesError, match=r"none of liars\.attacks"):
        env.load_state(state | {"liars.attack": state["liars.attack"] + 50})
    env.load_state(state)


@pytest.mark.parametrize(
    ("change", "line"),
    [
        ({"share": 1.5}, "share is 1.5"),
        ({"most": -1}, "most is -1"),
        ({"wake": -1}, "wake is -1"),
        ({"attacks": ("bribe",)}, "attacks holds bribe"),
        ({"attacks": ("traitor",)}, "attacks holds traitor"),
        ({"attacks": ()}, "attacks is empty"),
        ({"weights": (1.0,)}, "weights holds 1 numbers"),
        ({"attacks": ("flip",), "weights": (0.0,)}, "weights are not"),
    ],
)
def test_settings_out_of_range_are_named(change: dict[str, Any], line: str) -> None:
    with pytest.raises(ValueError, match=line):
        replace(LiarsConfig(), **change)


def test_more_liars_than_agents_are_refused() -> None:
    with pytest.raises(CustodesError, match=r"liars\.most: 5 liars among 4 agents"):
        lying(most=5)
    alone = environment(CITY, ResponseConfig(slots=2), agents=2)
    with pytest.raises(CustodesError, match="0 liars among 2 agents"):
        LiarsEnv(alone, LiarsConfig(share=0.5), GUILTY, seed=0)
