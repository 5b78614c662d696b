from __future__ import annotations

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from pettingzoo.test import parallel_api_test, parallel_seed_test

from custodes.env.lanes import build_lanes
from custodes.env.pettingzoo import ParallelView
from custodes.env.probes import make_probe
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv
from custodes.errors import CustodesError
from tests.env.counter import Counter
from tests.env.recordings import random_recording


def triage(seed: int, agents: int = 4, slots: int = 1) -> TriageEnv:
    draw = np.random.default_rng(0)
    lanes = build_lanes(random_recording(120), range(120), "by_entity", 6)
    table = EnvTable.from_numpy(draw.normal(size=(120, 5)), draw.integers(0, 2, 120), agents=agents)
    return TriageEnv(table, lanes, TriageConfig(slots=slots), (agents - 1) // 3, seed)


def test_it_passes_the_parallel_api_test() -> None:
    parallel_api_test(ParallelView(triage), num_cycles=200)


def test_it_passes_the_seed_test() -> None:
    parallel_seed_test(lambda: ParallelView(triage), num_cycles=200)


def test_it_plays_the_vector_environment() -> None:
    """Lane for lane what the core returns: views, rewards, ends, and the next lane after a reset without a seed."""
    view = ParallelView(triage)
    views, _ = view.reset(seed=3)
    core = triage(int(np.random.default_rng(3).integers(1 << 31)))
    observation = core.reset()
    generator, ends = torch.Generator().manual_seed(0), 0
    for _ in range(150):
        for index, agent in enumerate(view.agents):
            assert np.array_equal(views[agent], observation.agents[0, index].numpy())
        assert np.array_equal(view.state(), observation.central[0].numpy())
        actions = torch.randint(0, 4, (1, 4), generator=generator)
        step = core.step(actions)
        ballot = {f"agent_{index}": int(action) for index, action in enumerate(actions[0])}
        views, rewards, terminated, truncated, infos = view.step(ballot)
        assert list(rewards.values()) == step.reward[0].tolist()
        assert set(terminated.values()) == {bool(step.terminated)}
        assert set(truncated.values()) == {bool(step.truncated)}
        assert infos["agent_0"]["decision"] == int(step.decision)
        for index, agent in enumerate(rewards):
            assert np.array_equal(views[agent], step.successor.agents[0, index].numpy())
        observation = step.observation
        if step.terminated or step.truncated:
            assert view.agents == []
            assert view.step({}) == ({}, {}, {}, {}, {})
            views, _ = view.reset()
            ends += 1
    assert ends > 20


def test_a_view_keeps_its_observations() -> None:
    view = ParallelView(triage)
    views, _ = view.reset(seed=0)
    kept: NDArray[np.float32] = views["agent_1"].copy()
    views["agent_0"][:] = 99
    view.step(dict.fromkeys(view.agents, 0))
    assert np.array_equal(views["agent_1"], kept)


def test_more_than_one_slot_is_refused() -> None:
    with pytest.raises(CustodesError, match="a view shows one slot, not 2"):
        ParallelView(lambda seed: triage(seed, slots=2))


def test_a_reset_within_a_lane_starts_another() -> None:
    view = ParallelView(lambda seed: make_probe("memory", slots=1, agents=2, seed=seed))
    view.reset(seed=1)
    view.step({"agent_0": 0, "agent_1": 1})
    views, _ = view.reset()
    assert abs(views["agent_0"][0]) == 1, "only a first step shows the cue"
    assert view.agents == ["agent_0", "agent_1"]


def test_masks_are_told() -> None:
    view = ParallelView(lambda seed: Counter(slots=1))
    _, infos = view.reset(seed=0)
    assert infos["agent_0"]["action_mask"].tolist() == [1, 1, 0]
    assert infos["agent_1"]["action_mask"].dtype == np.int8
    _, _, _, _, infos = view.step({"agent_0": 0, "agent_1": 1})
    assert infos["agent_1"]["action_mask"].tolist() == [1, 0, 1]
