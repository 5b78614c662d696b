"""The value-loss floor on cases whose floor is known."""

from __future__ import annotations

import pytest
import torch

from custodes.rl.floor import lane_folds, value_loss_floor
from custodes.rl.returns import targets

T, B = 128, 64


def lanes(length: int) -> torch.Tensor:
    return (torch.arange(T)[:, None] // length * B + torch.arange(B)).flatten()


def test_independent_rewards_under_discount_099() -> None:
    """No input tells the return, so the floor is its variance: (1 - g^2k) / (1 - g^2) with k steps to the cut."""
    gamma, found = 0.99, []
    g = torch.Generator().manual_seed(0)
    left = torch.arange(T, 0, -1).double()
    known = float(((1 - gamma ** (2 * left)) / (1 - gamma**2)).mean())
    no = torch.zeros(T, B, dtype=torch.bool)
    for _ in range(12):
        reward = torch.randn(T, B, generator=g)
        zero = torch.zeros(T, B)
        got = targets(
            "mc", reward=reward, value=zero, next_value=zero, terminated=no, done=no, gamma=gamma, lam=1.0
        ).returns
        inputs = torch.randn(T * B, 40, generator=g)
        found.append(value_loss_floor(got.flatten(), torch.zeros(T * B), inputs, lanes(T)))
    estimate = sum(f for f in found if f is not None) / len(found)
    assert estimate == pytest.approx(known, rel=0.1)


def test_slow_inputs_do_not_let_it_read_the_lane() -> None:
    """Inputs that name the lane (constant in it) must not bring the estimate below the floor."""
    gamma = 0.99
    g = torch.Generator().manual_seed(1)
    no, zero = torch.zeros(T, B, dtype=torch.bool), torch.zeros(T, B)
    left = torch.arange(T, 0, -1).double()
    known = float(((1 - gamma ** (2 * left)) / (1 - gamma**2)).mean())
    found = []
    for _ in range(12):
        reward = torch.randn(T, B, generator=g)
        got = targets(
            "mc", reward=reward, value=zero, next_value=zero, terminated=no, done=no, gamma=gamma, lam=1.0
        ).returns
        name = torch.randn(B, 30, generator=g).expand(T, B, 30).flatten(0, 1)
        found.append(value_loss_floor(got.flatten(), torch.zeros(T * B), name, lanes(T)))
    assert sum(f for f in found if f is not None) / len(found) == pytest.approx(known, rel=0.1)


def test_noise_free_chain() -> None:
    """Reward 1 per step of a ten-step lane: the inputs tell the steps left, the floor is zero."""
    left = 10 - torch.arange(T * B // 10 * 10) % 10
    lane = torch.arange(len(left)) // 10
    target = (1.0 - 0.9 ** left.float()) / (1.0 - 0.9)
    target = (target - target.mean()) / target.std()
    inputs = torch.nn.functional.one_hot(left - 1, 10).float()
    floor = value_loss_floor(target, torch.zeros_like(target), inputs, lane)
    assert floor is not None
    assert floor < 0.01


@pytest.mark.parametrize("noise", [0.2, 1.0, 3.0])
def test_one_step_bandits(noise: float) -> None:
    """Reward = linear in the context + noise: the floor is the noise."""
    g = torch.Generator().manual_seed(2)
    context = torch.randn(T * B, 20, generator=g)
    target = context @ torch.randn(20, generator=g) + noise * torch.randn(T * B, generator=g)
    floor = value_loss_floor(target, torch.zeros(T * B), context, torch.arange(T * B))
    assert floor == pytest.approx(noise**2, rel=0.1)


def test_a_critic_that_knows_more_than_a_line_can_lowers_it() -> None:
    """Where the mean is nonlinear in the inputs, the critic's own honest residuals set the estimate."""
    g = torch.Generator().manual_seed(3)
    x = torch.randn(T * B, 4, generator=g)
    mean = (x[:, 0] * x[:, 1]).sign() * 2
    target = mean + 0.5 * torch.randn(T * B, generator=g)
    lane = torch.arange(T * B)
    assert value_loss_floor(target, mean, x, lane) == pytest.approx(0.25, rel=0.1)
    unlearnt = value_loss_floor(target, torch.zeros(T * B), x, lane)
    assert unlearnt is not None
    assert unlearnt > 3.0


def test_folds_are_whole_lanes_of_about_equal_size() -> None:
    lane = torch.repeat_interleave(torch.arange(40), torch.arange(1, 41))
    fold = lane_folds(lane)
    assert fold is not None
    assert all(int(fold[lane == k].min()) == int(fold[lane == k].max()) for k in range(40))
    sizes = torch.bincount(fold)
    assert int(sizes.max()) < 1.3 * int(sizes.min())


def test_one_lane_cannot_be_cross_fitted() -> None:
    assert value_loss_floor(torch.randn(10), torch.zeros(10), torch.randn(10, 2), torch.zeros(10).long()) is None


def test_equals_explicit_cross_fitting() -> None:
    """Against scikit-learn's ridge, fold by fold, with the same folds and penalties."""
    import numpy as np
    from sklearn.linear_model import Ridge

    from custodes.rl.floor import PENALTIES

    g = torch.Generator().manual_seed(4)
    known = torch.randn(300, 6, generator=g) @ torch.randn(6, 6, generator=g)
    target = known[:, 0] - 0.3 * known[:, 3] + torch.randn(300, generator=g)
    value = 0.5 * known[:, 0]
    lane = torch.arange(300) // 12
    fold = lane_folds(lane)
    assert fold is not None
    x = (known.double() - known.double().mean(0)) / known.double().std(0, correction=0)
    best = np.inf
    for answer in (target, target - value):
        y = answer.double().numpy()
        for penalty in (*PENALTIES, None):
            error = 0.0
            for k in range(int(fold.max()) + 1):
                out = (fold == k).numpy()
                if penalty is None:
                    prediction = np.full(int(out.sum()), y[~out].mean())
                else:
                    model = Ridge(alpha=penalty * float((~out).sum())).fit(x.numpy()[~out], y[~out])
                    prediction = model.predict(x.numpy()[out])
                error += float(((y[out] - prediction) ** 2).sum())
            best = min(best, error / len(y))
    assert value_loss_floor(target, value, known, lane) == pytest.approx(best, rel=1e-4)
