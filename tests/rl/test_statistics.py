"""Statistics against their definitions, and None where they are not defined."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.rl.statistics import action_shares, counts, explained_variance, f1

DECISIONS = st.lists(st.tuples(st.integers(0, 3), st.sampled_from([-1, 0, 1, 2])), min_size=1, max_size=40)


def test_explained_variance_of_a_perfect_critic_is_one() -> None:
    target = torch.randn(50, 3, generator=torch.Generator().manual_seed(0))
    assert explained_variance(target, target) == 1.0


def test_explained_variance_does_not_ask_for_the_mean() -> None:
    """It is about variance: a critic that is off by a constant explains everything."""
    target = torch.randn(50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    assert explained_variance(target, target + 5.0) == pytest.approx(1.0)


def test_explained_variance_of_a_constant_critic_is_zero() -> None:
    target = torch.tensor([1.0, 2.0, 4.0])
    assert explained_variance(target, torch.full((3,), 7.0)) == pytest.approx(0.0)


def test_explained_variance_is_negative_for_a_critic_worse_than_a_constant() -> None:
    target = torch.tensor([1.0, -1.0, 2.0, -2.0])
    assert explained_variance(target, -target) == pytest.approx(-3.0)


@pytest.mark.parametrize("target", [torch.zeros(4), torch.full((4,), 3.0), torch.full((2, 3), -1e6), torch.ones(1)])
def test_explained_variance_of_a_target_that_does_not_vary_is_none(target: torch.Tensor) -> None:
    assert explained_variance(target, torch.randn(target.shape)) is None
    assert explained_variance(target, target) is None


@given(st.lists(st.tuples(st.floats(-9, 9), st.floats(-9, 9)), min_size=2, max_size=30))
def test_explained_variance_equals_the_definition(pairs: list[tuple[float, float]]) -> None:
    target, value = np.array(pairs).T
    variance = float(np.mean((target - target.mean()) ** 2))
    got = explained_variance(torch.from_numpy(target.copy()), torch.from_numpy(value.copy()))
    if variance < 1e-12:
        assert got is None or variance > 0.9e-12
        return
    error = target - value
    expected = 1.0 - float(np.mean((error - error.mean()) ** 2)) / variance
    assert got == pytest.approx(expected, rel=1e-6, abs=1e-6)


@given(events=DECISIONS, contains=st.sampled_from([ALERT, QUARANTINE, BLOCK]))
def test_counts_equal_counting_one_by_one(events: list[tuple[int, int]], contains: int) -> None:
    expected = {"tp": 0, "fp": 0, "tn": 0, "fn": 0}
    for decision, label in events:
        if label in (0, 1):
            right = (decision >= contains) == (label == 1)
            expected[("t" if right else "f") + ("p" if decision >= contains else "n")] += 1
    decision, label = torch.tensor(events).T
    assert counts(decision, label, contains) == expected
    assert counts(decision.reshape(1, -1), label.reshape(1, -1), contains) == expected


def test_counts_leave_out_unknown_and_contaminated_events() -> None:
    decision, label = torch.tensor([3, 3, 0, 0]), torch.tensor([-1, 2, -1, 2])
    assert counts(decision, label, QUARANTINE) == {"tp": 0, "fp": 0, "tn": 0, "fn": 0}


def test_f1_is_none_without_a_threat_and_without_an_alarm() -> None:
    assert f1(0, 0, 0) is None


@pytest.mark.parametrize(
    ("tp", "fp", "fn", "expected"), [(0, 5, 0, 0.0), (0, 0, 5, 0.0), (4, 0, 0, 1.0), (1, 1, 1, 0.5), (3, 1, 2, 2 / 3)]
)
def test_f1_of_known_counts(tp: int, fp: int, fn: int, expected: float) -> None:
    assert f1(tp, fp, fn) == pytest.approx(expected)


@settings(deadline=None)
@given(tp=st.integers(0, 20), fp=st.integers(0, 20), fn=st.integers(0, 20), tn=st.integers(0, 20))
def test_f1_equals_scikit_learn(tp: int, fp: int, fn: int, tn: int) -> None:
    if tp + fp + fn == 0:
        return
    truth = [1] * tp + [0] * fp + [1] * fn + [0] * tn
    called = [1] * tp + [1] * fp + [0] * fn + [0] * tn
    assert f1(tp, fp, fn) == pytest.approx(f1_score(truth, called, zero_division=0.0))


@settings(deadline=None)
@given(steps=st.integers(1, 6), slots=st.integers(1, 5), agents=st.integers(1, 4), seed=st.integers(0, 999))
def test_action_shares_equal_counting_one_by_one(steps: int, slots: int, agents: int, seed: int) -> None:
    action = torch.randint(0, 4, (steps, slots, agents), generator=torch.Generator().manual_seed(seed))
    shares = action_shares(action, 4)
    assert len(shares) == agents
    for agent, share in enumerate(shares):
        assert sum(share) == pytest.approx(1.0)
        for choice in range(4):
            taken = sum(int(action[t, b, agent]) == choice for t in range(steps) for b in range(slots))
            assert share[choice] == pytest.approx(taken / (steps * slots))


def test_action_shares_name_actions_that_nobody_chose() -> None:
    assert action_shares(torch.full((3, 2, 1), 2), 5) == [[0.0, 0.0, 1.0, 0.0, 0.0]]
