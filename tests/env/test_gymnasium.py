from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import gymnasium
import numpy as np
import pytest
import torch
from gymnasium.utils.env_checker import check_env

from custodes.env.gymnasium import SingleView
from custodes.env.probes import make_probe
from custodes.env.triage import TriageEnv
from custodes.errors import CustodesError
from tests.env.counter import Counter
from tests.env.test_pettingzoo import triage


@pytest.fixture
def registered() -> Iterator[str]:
    """The environment under a name: the checker warns about one that it cannot make again."""
    name = "custodes/Triage-v0"

    def make(**settings: Any) -> SingleView:
        return SingleView(triage, **settings)

    gymnasium.register(name, entry_point=make)
    yield name
    gymnasium.registry.pop(name)


def test_it_passes_the_environment_checker(registered: str) -> None:
    check_env(gymnasium.make(registered).unwrapped)


def test_one_decider_stands_for_the_team() -> None:
    view = SingleView(triage)
    seen, _ = view.reset(seed=8)
    core: TriageEnv = triage(int(np.random.default_rng(8).integers(1 << 31)))
    observation = core.reset()
    generator, ends = torch.Generator().manual_seed(0), 0
    for _ in range(100):
        assert np.array_equal(seen, observation.central[0].numpy())
        action = int(torch.randint(0, 4, (), generator=generator))
        step = core.step(torch.full((1, 4), action))
        seen, reward, terminated, truncated, info = view.step(action)
        assert (reward, terminated, truncated) == (
            float(step.team_reward),
            bool(step.terminated),
            bool(step.truncated),
        )
        assert (info["decision"], info["label"]) == (action, int(step.label))
        assert np.array_equal(seen, step.successor.central[0].numpy())
        observation = step.observation
        if terminated or truncated:
            seen, _ = view.reset()
            ends += 1
    assert ends > 10


def test_stepping_a_lane_that_is_over_is_refused() -> None:
    view = SingleView(lambda seed: make_probe("bandit", slots=1, seed=seed))
    with pytest.raises(CustodesError, match="the lane is over"):
        view.step(0)
    view.reset(seed=0)
    assert view.step(3)[2]
    with pytest.raises(CustodesError, match=r"the lane is over; call reset\(\) first"):
        view.step(0)


def test_more_than_one_slot_is_refused() -> None:
    with pytest.raises(CustodesError, match="one slot, not 3"):
        SingleView(lambda seed: triage(seed, slots=3))


def test_masks_are_told() -> None:
    view = SingleView(lambda seed: Counter(slots=1))
    _, info = view.reset(seed=0)
    assert info["action_mask"].tolist() == [1, 1, 0]
    assert view.step(1)[4]["action_mask"].tolist() == [1, 0, 1]
    check_env(view.unwrapped, skip_render_check=True, skip_close_check=True)
