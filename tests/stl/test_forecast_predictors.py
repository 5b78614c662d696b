"""Predictors recover processes that they can represent."""

from __future__ import annotations

import pytest
import torch
from sklearn.linear_model import Ridge

from custodes.stl.errors import StlError
from custodes.stl.forecast import AutoRegressive, LastValue, PerStep, Predictor
from custodes.stl.forecast.trajectories import check_trajectories, split


def oscillations(count: int, length: int, seed: int = 0) -> torch.Tensor:
    """x'' = -x in two signals: a linear map of the last sample, without noise."""
    source = torch.Generator().manual_seed(seed)
    state = torch.randn(count, 2, dtype=torch.float64, generator=source)
    angle = torch.tensor(0.3, dtype=torch.float64)
    turn = torch.stack((torch.stack((angle.cos(), angle.sin())), torch.stack((-angle.sin(), angle.cos()))))
    rows = [state]
    for _ in range(length - 1):
        rows.append(rows[-1] @ turn + 0.1)
    return torch.stack(rows, dim=1)


@pytest.mark.parametrize(
    "predictor", [AutoRegressive(1, 1e-12), AutoRegressive(3, 1e-12), PerStep(1, 1e-12), PerStep(4, 1e-12)]
)
@pytest.mark.parametrize("seen", [1, 2, 7])
def test_linear_motion_is_continued(predictor: Predictor, seen: int) -> None:
    predictor.fit(oscillations(200, 20))
    fresh = oscillations(30, 20, seed=1)
    if seen >= 3 or "order 3" not in predictor.describe():
        torch.testing.assert_close(predictor.predict(fresh[:, :seen]), fresh[:, seen:], rtol=0, atol=1e-5)
    assert predictor.predict(fresh[:, :seen]).shape == (30, 20 - seen, 2)


def test_last_value_stays() -> None:
    values = oscillations(3, 6)
    ahead = LastValue().fit(values).predict(values[:, :4])
    assert torch.equal(ahead, values[:, 3:4].repeat(1, 2, 1))


def test_per_step_is_ridge_regression() -> None:
    values = torch.randn(80, 8, 2, dtype=torch.float64, generator=torch.Generator().manual_seed(3)).cumsum(1)
    predictor = PerStep(lags=2, ridge=0.1).fit(values)
    inputs = values[:, 3:5].flatten(1)
    centred = inputs - inputs.mean(0)
    penalty = 0.1 * float((centred.T @ centred).diagonal().mean())
    peer = Ridge(alpha=penalty).fit(inputs.numpy(), values[:, 5:].flatten(1).numpy())
    expected = torch.from_numpy(peer.predict(inputs.numpy())).reshape(80, 3, 2)
    torch.testing.assert_close(predictor.predict(values[:, :5]), expected, rtol=1e-8, atol=1e-8)


def test_a_constant_signal_is_no_trouble() -> None:
    values = torch.full((10, 6, 1), 3.0)
    for predictor in (AutoRegressive(2), PerStep(2)):
        torch.testing.assert_close(predictor.fit(values).predict(values[:, :2]), values[:, 2:])


@pytest.mark.parametrize("predictor", [LastValue(), AutoRegressive(), PerStep()])
def test_misuse_is_named(predictor: Predictor) -> None:
    values = oscillations(10, 6)
    with pytest.raises(StlError, match="not fitted"):
        predictor.predict(values[:, :3])
    predictor.fit(values)
    for seen in (0, 6):
        with pytest.raises(StlError, match="1 to 5"):
            predictor.predict(values[:, :seen])


@pytest.mark.parametrize("make", [AutoRegressive, PerStep])
def test_settings_are_checked(make: type[AutoRegressive] | type[PerStep]) -> None:
    for lags, ridge in ((0, 1.0), (1, 0.0), (1, float("nan"))):
        with pytest.raises(StlError, match="at least 1 sample"):
            make(lags, ridge)


def test_split_deals_every_trajectory_once() -> None:
    values = torch.arange(23.0)[:, None, None]
    parts = split(values, (0.5, 0.2, 0.3), seed=4)
    assert [len(part) for part in parts] == [12, 4, 7]
    assert torch.equal(torch.cat(parts).flatten().sort().values, values.flatten())
    assert not torch.equal(torch.cat(parts), values)
    assert torch.equal(split(values, (0.5, 0.2, 0.3), seed=4)[0], parts[0])


@pytest.mark.parametrize("shares", [(), (0.5, 0.6), (1.2, -0.2)])
def test_bad_shares_are_refused(shares: tuple[float, ...]) -> None:
    with pytest.raises(StlError, match="sum to 1"):
        split(torch.zeros(10, 2, 1), shares)


def test_an_empty_part_is_refused() -> None:
    with pytest.raises(StlError, match="too few for 3 parts"):
        split(torch.zeros(2, 2, 1), (0.4, 0.3, 0.3))


@pytest.mark.parametrize(
    ("values", "names", "said"),
    [
        (torch.zeros(3, 4), ["x"], "shape"),
        (torch.zeros(3, 4, 1, dtype=torch.int64), ["x"], "int64"),
        (torch.zeros(3, 4, 2), ["x"], "2 columns"),
        (torch.zeros(3, 4, 2), ["x", "x"], "name every column once"),
        (torch.zeros(0, 4, 1), ["x"], "no trajectory"),
        (torch.zeros(3, 5, 1), ["x"], "5 samples, not 4"),
    ],
)
def test_bad_trajectories_are_refused(values: torch.Tensor, names: list[str], said: str) -> None:
    with pytest.raises(StlError, match=said):
        check_trajectories(values, names, where="here", length=4)


def test_a_hole_is_named() -> None:
    values = torch.zeros(3, 4, 2)
    values[1, 2, 1] = float("nan")
    with pytest.raises(StlError, match="signal y is not finite in trajectory 1 at sample 2"):
        check_trajectories(values, ["x", "y"], where="here")
