"""Targets and advantages against an implementation of other hands: TorchRL's estimators (Bou et al. 2023)."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor

from custodes.rl.returns import Estimator, targets

torchrl = pytest.importorskip(
    "torchrl.objectives.value.functional", reason="TorchRL is not installed; test_returns holds the definition alone"
)

T, B, A = 48, 3, 2
EDGES = ("mixed", "never", "always_terminated", "always_truncated", "cut_at_the_end", "ended_at_the_end")
DISCOUNTS = ((0.0, 0.95), (0.5, 0.3), (0.95, 0.0), (0.95, 1.0), (0.99, 0.95), (1.0, 0.9), (1.0, 1.0))


def example(edge: str, seed: int, dtype: torch.dtype) -> dict[str, Tensor]:
    """A rollout [T, B, A] whose value after a cut is that of the successor, not of the next row."""
    g = torch.Generator().manual_seed(seed)

    def draw() -> Tensor:
        return torch.randn(T, B, A, generator=g, dtype=torch.float64)

    value, reward, successor = draw(), draw(), draw()
    end = torch.rand(T, B, 1, generator=g)
    terminated, truncated = end < 0.1, (end >= 0.1) & (end < 0.2)
    if edge != "mixed":
        terminated, truncated = torch.zeros_like(terminated), torch.zeros_like(truncated)
    if edge.startswith("always"):
        (terminated if edge == "always_terminated" else truncated)[:] = True
    if edge.endswith("at_the_end"):
        (terminated if edge.startswith("ended") else truncated)[-1] = True
    following = torch.cat((value[1:], successor[-1:]))
    return {
        "reward": reward.to(dtype),
        "value": value.to(dtype),
        "next_value": torch.where(truncated, successor, following).to(dtype),
        "terminated": terminated,
        "done": terminated | truncated,
    }


def by_torchrl(estimator: Estimator, data: dict[str, Tensor], gamma: float, lam: float) -> tuple[Tensor, Tensor]:
    """Returns and advantages [T, B, A]; TorchRL wants [B, T, A] and every tensor of one shape."""
    reward, value, following, terminated, done = (x.expand(T, B, A).transpose(0, 1) for x in data.values())
    # As tensors: TorchRL multiplies plain numbers with integer masks, which rounds them to single precision.
    g, k = torch.tensor(gamma, dtype=reward.dtype), torch.tensor(lam, dtype=reward.dtype)
    if estimator == "gae":
        advantage, returns = torchrl.generalized_advantage_estimate(g, k, value, following, reward, done, terminated)
    else:
        returns = {
            "td-lambda": lambda: torchrl.td_lambda_return_estimate(g, k, following, reward, done, terminated),
            "td0": lambda: torchrl.td0_return_estimate(g, following, reward, terminated),
            "mc": lambda: torchrl.td1_return_estimate(g, following, reward, done, terminated),
        }[estimator]()
        advantage = returns - value
    return returns.transpose(0, 1), advantage.transpose(0, 1)


@pytest.mark.parametrize("estimator", ["gae", "td-lambda", "td0", "mc"])
@pytest.mark.parametrize("edge", EDGES)
@pytest.mark.parametrize(("gamma", "lam"), DISCOUNTS)
def test_equals_torchrl(estimator: Estimator, edge: str, gamma: float, lam: float) -> None:
    for seed in range(3):
        data = example(edge, seed, torch.float64)
        got = targets(estimator, **data, gamma=gamma, lam=lam)
        returns, advantages = by_torchrl(estimator, data, gamma, lam)
        torch.testing.assert_close(got.returns, returns, rtol=1e-12, atol=1e-12)
        torch.testing.assert_close(got.advantages, advantages, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("estimator", ["gae", "td-lambda", "td0", "mc"])
def test_equals_torchrl_in_single_precision(estimator: Estimator) -> None:
    data = example("mixed", 7, torch.float32)
    got = targets(estimator, **data, gamma=0.99, lam=0.95)
    returns, advantages = by_torchrl(estimator, data, 0.99, 0.95)
    assert got.returns.dtype == torch.float32
    torch.testing.assert_close(got.returns, returns, rtol=1e-5, atol=1e-5)
    torch.testing.assert_close(got.advantages, advantages, rtol=1e-5, atol=1e-5)


def test_the_comparison_tells_truncation_from_termination() -> None:
    """It can fail: read truncation as termination and the two differ."""
    data = example("mixed", 0, torch.float64)
    wrong = {**data, "terminated": data["done"]}
    got = targets("gae", **wrong, gamma=0.99, lam=0.95)
    returns, _ = by_torchrl("gae", data, 0.99, 0.95)
    assert float((got.returns - returns).abs().max()) > 0.1
