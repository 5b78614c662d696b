"""Numbers of the record: against their definitions, on cases whose answer is known."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from custodes.doctor import measure
from custodes.doctor.continuity import _outside


def test_votes_from_the_policy_surprise_nobody_and_others_do() -> None:
    generator = torch.Generator().manual_seed(0)
    logits = torch.randn(4000, 2, 4, generator=generator)
    log_all = logits.log_softmax(-1)
    entropy = -(log_all.exp() * log_all).sum(-1)
    drawn = torch.multinomial(log_all.exp().flatten(0, 1), 1, generator=generator).reshape(4000, 2)
    drawn[:, 1] = 3 - drawn[:, 1]
    taken = log_all.gather(-1, drawn[..., None])[..., 0]
    honest, lying = measure.vote_surprise(taken, entropy)
    assert abs(honest) < 4.0
    assert lying < -8.0


def test_a_certain_policy_is_no_liar() -> None:
    (z,) = measure.vote_surprise(torch.full((500, 1), -1e-6), torch.full((500, 1), 1e-5))
    assert abs(z) < 1.0


def kruskal(values: np.ndarray, groups: np.ndarray) -> float:
    """The statistic by its definition, over its degrees of freedom; no ties."""
    rank = np.argsort(np.argsort(values)) + 1.0
    n = len(values)
    total = sum((groups == g).sum() * (rank[groups == g].mean() - (n + 1) / 2) ** 2 for g in np.unique(groups))
    return float(total * 12 / (n * (n + 1)) / (len(np.unique(groups)) - 1))


def test_the_action_signal_is_kruskals_and_wallis() -> None:
    rng = np.random.default_rng(0)
    action = rng.integers(0, 4, (40, 10, 1))
    advantage = rng.normal(size=(40, 10, 1)) + 0.3 * action
    (signal,), (share,) = measure.action_signal(torch.as_tensor(advantage), torch.as_tensor(action))
    # Ranks from 0 and the variance over n: n / (n + 1) times the textbook's.
    assert signal == pytest.approx(kruskal(advantage.ravel(), action.ravel()), rel=0.01)
    assert share == pytest.approx(3 * signal / 400)


def test_the_action_signal_leaves_out_steps_of_one_agent_alone() -> None:
    rng = np.random.default_rng(2)
    action = torch.as_tensor(rng.integers(0, 4, (30, 5, 2)))
    advantage = torch.as_tensor(rng.normal(size=(30, 5, 2))) + 0.3 * action
    learns = torch.ones(30, 5, 2, dtype=torch.bool)
    learns[:10, :, 1] = False
    whole, _ = measure.action_signal(advantage, action)
    rest, _ = measure.action_signal(advantage[10:], action[10:])
    signals, _ = measure.action_signal(advantage, action, learns)
    assert signals == [whole[0], rest[1]]


def test_the_action_signal_of_nothing_is_about_one() -> None:
    rng = np.random.default_rng(1)
    action = torch.as_tensor(rng.integers(0, 4, (200, 1, 30)))
    advantage = torch.as_tensor(rng.normal(size=(200, 1, 30)))
    signals, _ = measure.action_signal(advantage, action)
    assert np.mean(signals) == pytest.approx(1.0, abs=0.4)


def test_one_action_or_one_advantage_gives_no_signal() -> None:
    ones = torch.ones(8, 2, 1, dtype=torch.int64)
    signals, shares = measure.action_signal(torch.randn(8, 2, 1), ones)
    assert np.isnan([*signals, *shares]).all()
    signals, _ = measure.action_signal(torch.zeros(8, 2, 1), torch.arange(16).reshape(8, 2, 1) % 4)
    assert np.isnan(signals).all()


def rewards(reward: list[float], action: list[int], label: list[int]) -> Any:
    """One slot, one agent."""
    return SimpleNamespace(
        reward=torch.tensor(reward)[:, None, None],
        action=torch.tensor(action)[:, None, None],
        decision=torch.tensor(action)[:, None],
        label=torch.tensor(label)[:, None],
        mask=None,
        learns=None,
    )


TABLE = torch.tensor([[1.0, 1.0, -9.5, -9.5], [-10.0, -10.0, 8.5, 8.5], [0.0, 0.0, 0.0, 0.0]])


def test_rewards_of_the_table_and_of_the_step_before() -> None:
    right = rewards([1.0, 8.5, 0.0, -9.5], [0, 3, 2, 2], [0, 1, -1, 0])
    assert measure.reward_against_table(right, TABLE, decision=False)["reward_mismatch"] == 0.0
    late = rewards([0.0, 1.0, 8.5, -9.5], [0, 3, 2, 1], [0, 1, 0, 0])
    found = measure.reward_against_table(late, TABLE, decision=True)
    assert found == {"reward_mismatch": 1.0, "reward_lagged": 1.0}


def test_rewards_by_truth_and_action() -> None:
    found = measure.reward_shape(rewards([1.0, 3.0, 8.5, 0.0], [0, 0, 3, 1], [0, 0, 1, -1]))
    np.testing.assert_array_equal(
        found["reward_by_action"], [[2.0, np.nan, np.nan, np.nan], [np.nan, np.nan, np.nan, 8.5]]
    )
    assert (found["reward_min"], found["reward_max"]) == (0.0, 8.5)
    assert found["reward_at_ends"] == pytest.approx(1 / 3)


def test_inputs_against_the_first_ones() -> None:
    reference = measure.InputReference()
    first = torch.randn(2, 50, 4, 3, generator=torch.Generator().manual_seed(0))
    first[1, ..., 0] = 7.0
    found = reference.measure(first)
    assert found["inputs_constant"] == pytest.approx([0.0, 1 / 3])
    assert (found["input_stretch"], found["input_shift"]) == (1.0, 0.0)
    found = reference.measure(first * 4.0)
    assert found["input_stretch"] == pytest.approx(4.0)


def test_the_outside_generators_are_watched() -> None:
    before = _outside()
    assert _outside() == before
    torch.randn(1)
    assert _outside() != before
    before = _outside()
    np.random.rand()  # noqa: NPY002
    assert _outside() != before
