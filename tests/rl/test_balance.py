"""Balanced weights: the same best fit at each input, and one that is reached where only rare lanes go."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from custodes.rl.balance import LaneBalance

RARE, COMMON = 0.02, 1.2
"""Weights of attackers' lanes and of all others."""


def drawn(n: int = 4000) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs [n, 2] (one-hot: who may be anyone, who is an attacker), weights [n], and what is to be fitted [n]."""
    rng = np.random.default_rng(0)
    attacker = rng.random(n) < 0.3
    told = attacker & (rng.random(n) < 0.1)
    x = np.stack((~told, told), axis=1).astype(np.float32)
    weight = np.where(attacker, RARE, COMMON).astype(np.float32)
    worth = np.where(attacker, 2.0, -10.0).astype(np.float32)
    return torch.from_numpy(x), torch.from_numpy(weight), torch.from_numpy(worth)


def fitted(*, balanced: bool) -> list[float]:
    """What 300 steps of plain gradient descent come to, at either input."""
    x, weight, worth = drawn()
    balance = LaneBalance(1, 2)
    model = torch.zeros(2, requires_grad=True)
    for _ in range(300):
        factor = weight
        if balanced:
            balance.see(weight, 0.3)
            factor, telling = balance.factors(0, x, weight)
            balance.zero_grad()
            telling.mean().backward()  # type: ignore[no-untyped-call]
            balance.step()
        (slope,) = torch.autograd.grad((factor * (x @ model - worth).square()).mean(), model)
        with torch.no_grad():
            model -= 0.3 * slope
    return model.detach().tolist()


def expected() -> list[float]:
    """What lanes as they were recorded are worth at either input."""
    x, weight, worth = drawn()
    return [float((weight * worth)[x[:, i] == 1].sum() / weight[x[:, i] == 1].sum()) for i in (0, 1)]


def test_the_fit_is_what_lanes_are_worth_as_recorded() -> None:
    assert fitted(balanced=True) == pytest.approx(expected(), abs=0.02)


def test_without_it_what_only_attackers_show_is_hardly_moved() -> None:
    anyone, told = fitted(balanced=False)
    assert anyone == pytest.approx(expected()[0], abs=0.02)
    assert abs(told) < 0.3 < expected()[1]


def test_steps_weigh_one_at_each_input_when_the_head_is_right() -> None:
    x, weight, _ = drawn()
    balance = LaneBalance(1, 2)
    for _ in range(400):
        balance.see(weight, 0.3)
        factor, telling = balance.factors(0, x, weight)
        balance.zero_grad()
        telling.mean().backward()  # type: ignore[no-untyped-call]
        balance.step()
    assert [float(factor[x[:, i] == 1].mean()) for i in (0, 1)] == pytest.approx([1.0, 1.0], abs=0.05)
    assert not factor.requires_grad
    # Among those who may be anyone, an attacker still weighs as much less as it was drawn more often.
    anyone = x[:, 0] == 1
    ratio = factor[anyone & (weight == RARE)].mean() / factor[anyone & (weight == COMMON)].mean()
    assert float(ratio) == pytest.approx(RARE / COMMON, rel=1e-4)


def test_lanes_that_all_weigh_the_same_weigh_one() -> None:
    balance = LaneBalance(2, 3)
    weight = torch.full((5,), 0.4)
    balance.see(weight, 0.1)
    factor, telling = balance.factors(1, torch.randn(5, 3), weight)
    assert factor.tolist() == [1.0] * 5
    assert float(telling.sum()) == 0.0
