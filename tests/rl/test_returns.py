"""Targets and advantages against a definition-level double loop, and the identities between them."""

from __future__ import annotations

from typing import get_args

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from custodes.rl.returns import Estimator, targets


def definition(data: dict[str, Tensor], gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Lambda-weighted averages of n-step returns (Sutton and Barto 2018, eq. 12.3), one scalar at a time."""
    reward, value, next_value, terminated, done = data.values()
    T, B = reward.shape
    returns, advantages = torch.zeros_like(reward), torch.zeros_like(reward)
    for b in range(B):
        for t in range(T):
            last = next((k for k in range(t, T) if bool(done[k, b])), T - 1)
            n_step = []
            for end in range(t, last + 1):
                total = sum(gamma ** (k - t) * float(reward[k, b]) for k in range(t, end + 1))
                tail = 0.0 if bool(terminated[end, b]) else float(next_value[end, b])
                n_step.append(total + gamma ** (end - t + 1) * tail)
            weights = [(1 - lam) * lam**n for n in range(len(n_step) - 1)] + [lam ** (len(n_step) - 1)]
            returns[t, b] = sum(w * g for w, g in zip(weights, n_step, strict=True))
            advantages[t, b] = returns[t, b] - value[t, b]
    return returns, advantages


def example(seed: int, T: int, B: int) -> dict[str, Tensor]:
    g = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randn(T, B, generator=g, dtype=torch.float64)

    value, reward = draw(), draw()
    end = torch.rand(T, B, generator=g)
    terminated, truncated = end < 0.15, (end > 0.15) & (end < 0.3)
    successor = draw()
    following = torch.cat((value[1:], draw()[:1]))
    return {
        "reward": reward,
        "value": value,
        "next_value": torch.where(truncated, successor, following),
        "terminated": terminated,
        "done": terminated | truncated,
    }


@settings(max_examples=60, deadline=None)
@given(
    seed=st.integers(0, 10_000),
    T=st.integers(1, 12),
    B=st.integers(1, 3),
    gamma=st.sampled_from([0.0, 0.5, 0.95, 1.0]),
    lam=st.sampled_from([0.0, 0.3, 0.95, 1.0]),
    estimator=st.sampled_from(get_args(Estimator)),
)
def test_equals_the_definition(seed: int, T: int, B: int, gamma: float, lam: float, estimator: Estimator) -> None:
    data = example(seed, T, B)
    got = targets(estimator, **data, gamma=gamma, lam=lam)
    trace = {"mc": 1.0, "td0": 0.0, "td-lambda": lam, "gae": lam}[estimator]
    returns, advantages = definition(data, gamma, trace)
    torch.testing.assert_close(got.returns, returns, rtol=1e-9, atol=1e-9)
    torch.testing.assert_close(got.advantages, advantages, rtol=1e-9, atol=1e-9)


def test_gae_target_is_the_td_lambda_return() -> None:
    data = example(1, 50, 4)
    gae = targets("gae", **data, gamma=0.97, lam=0.9)
    td = targets("td-lambda", **data, gamma=0.97, lam=0.9)
    torch.testing.assert_close(gae.returns, td.returns, rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(gae.advantages, td.advantages, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", get_args(Estimator))
def test_every_step_terminal_gives_the_reward(estimator: Estimator) -> None:
    """The original's suspicion of a circular dependency: with terminal steps all four are the reward, exactly."""
    data = example(2, 20, 3)
    data["terminated"] = data["done"] = torch.ones(20, 3, dtype=torch.bool)
    got = targets(estimator, **data, gamma=0.99, lam=0.95)
    torch.testing.assert_close(got.returns, data["reward"])


@pytest.mark.parametrize("estimator", get_args(Estimator))
def test_all_coincide_under_discount_zero(estimator: Estimator) -> None:
    data = example(3, 20, 3)
    got = targets(estimator, **data, gamma=0.0, lam=0.95)
    torch.testing.assert_close(got.returns, data["reward"])


def test_truncation_bootstraps_from_the_successor_and_termination_does_not() -> None:
    base = {
        "reward": torch.tensor([[1.0]]),
        "value": torch.tensor([[0.0]]),
        "next_value": torch.tensor([[20.0]]),
        "done": torch.tensor([[True]]),
    }
    ended = targets("gae", **base, terminated=torch.tensor([[True]]), gamma=0.95, lam=0.9)
    cut = targets("gae", **base, terminated=torch.tensor([[False]]), gamma=0.95, lam=0.9)
    assert ended.returns.item() == 1.0
    assert cut.returns.item() == pytest.approx(20.0)


def test_rewards_do_not_leak_across_lanes() -> None:
    data = example(4, 30, 2)
    data["done"][9] = data["terminated"][9] = True
    before = targets("gae", **data, gamma=0.99, lam=0.95).returns[:10].clone()
    data["reward"][10:] += 100.0
    assert torch.equal(targets("gae", **data, gamma=0.99, lam=0.95).returns[:10], before)
