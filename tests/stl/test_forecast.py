"""Forecasts: coverage where it was promised, refusals, and what is stored."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import Literal

import pytest
import torch

from benchmarks.stl_forecast import RULE, SEEN, calibrated, coverage, setting, streams
from custodes.stl.errors import StlError
from custodes.stl.forecast import (
    AutoRegressive,
    Calibration,
    Forecaster,
    LastValue,
    PerStep,
    calibrate_direct,
    calibrate_indirect,
    make_forecaster,
)
from custodes.stl.parser import parse

FORMULA = parse(RULE)


def source(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


@pytest.mark.slow
@pytest.mark.parametrize("heavy", [False, True])
@pytest.mark.parametrize("method", ["direct", "indirect"])
def test_coverage_lies_in_the_beta_interval(method: str, heavy: bool) -> None:
    """Share of calibration sets whose coverage lies in the central 95 %: at least 0.95 less three standard errors."""
    drawn = source(5)
    given = setting(heavy, drawn)
    for size in (100, 500, 2000):
        found = coverage(given, method, size, 25, drawn)
        assert found["ok"], (method, size, found)
        if method == "indirect":
            assert found["bounds"]["mean"] >= found["scores"]["mean"]


@pytest.mark.parametrize("method", ["direct", "indirect"])
def test_several_times_hold_together(method: Literal["direct", "indirect"]) -> None:
    drawn = source(1)
    forecaster = make_forecaster(
        FORMULA, ["x"], streams(4000, drawn), PerStep(2), observed=[2, 8, 15], delta=0.1, method=method
    )
    fresh = streams(4000, drawn)
    true = (2.5 - fresh[..., 0]).amin(1)
    together = torch.stack([forecaster.forecast(fresh[:, :seen]).bound <= true for seen in (2, 8, 15)]).all(0)
    assert float(together.double().mean()) > 0.88
    late, early = (forecaster.forecast(fresh[:, :seen]) for seen in (15, 2))
    assert float((late.predicted - true).abs().mean()) < float((early.predicted - true).abs().mean())


def test_the_bound_is_the_ranked_score_below_the_prediction() -> None:
    forecaster = calibrated(setting(False, source(2)), "direct", 99, source(3))
    made = forecaster.calibration
    assert made.bound == made.scores[94]
    fresh = streams(50, source(4))
    forecast = forecaster.forecast(fresh[:, :SEEN])
    assert torch.equal(forecast.bound, forecast.predicted - made.bound)
    assert forecast.guarantee_holds
    low, high = made.coverage(0.9)
    assert low < 0.95 < high


def test_indirect_bound_is_the_prediction_less_the_tube_by_hand() -> None:
    drawn = source(6)
    values = streams(300, drawn)
    predictor = LastValue().fit(values[:100])
    made = calibrate_indirect(FORMULA, ["x"], values[:50], values[50:], predictor, observed=[20], delta=0.1)
    fresh = streams(10, drawn)
    radius = made.bound * made.scales[0][0][0]
    whole = torch.cat((fresh[:, :20, 0], fresh[:, 19:20, 0] + radius), dim=1)
    found = Forecaster(FORMULA, made, predictor).forecast(fresh[:, :20]).bound
    torch.testing.assert_close(found, (2.5 - whole).amin(1), rtol=0, atol=1e-12)


def test_a_perfect_predictor_has_no_margin() -> None:
    still = torch.randn(200, 1, 1, dtype=torch.float64, generator=source()).expand(-1, 21, -1)
    for method in ("direct", "indirect"):
        forecaster = make_forecaster(
            FORMULA, ["x"], still, LastValue(), observed=[1], method="direct" if method == "direct" else "indirect"
        )
        found = forecaster.forecast(still[:5, :1])
        assert torch.equal(found.bound, found.predicted)


def test_infinite_robustness_gives_no_nonsense() -> None:
    formula = parse("(x > 0) -> eventually[20,20] true")
    values = streams(60, source(7))
    predictor = LastValue().fit(values)
    made = calibrate_direct(formula, ["x"], values, predictor, observed=[5], delta=0.1)
    assert made.scores == (0.0,) * 60
    bound = Forecaster(formula, made, predictor).forecast(values[:, :5]).bound
    assert bool((bound == math.inf).all())
    worst = replace(made, scores=(*made.scores[:-10], *(math.inf,) * 10))
    assert bool((Forecaster(formula, worst, predictor).forecast(values[:, :5]).bound == -math.inf).all())


def test_the_calibration_round_trips() -> None:
    forecaster = make_forecaster(
        FORMULA, ["x"], streams(400, source(8)), AutoRegressive(), observed=[3, 9], method="indirect"
    )
    made = forecaster.calibration
    again = Calibration.from_json(made.to_json())
    assert again == made
    assert (again.splits.training, again.splits.scales, again.splits.calibration) == (160, 40, 200)
    assert again.formula == "always[0,20](x < 2.5)"
    assert again.predictor == "autoregressive, order 4, ridge 1e-06"
    fresh = streams(20, source(9))
    twin = Forecaster(FORMULA, again, forecaster.predictor)
    assert torch.equal(twin.forecast(fresh[:, :9]).bound, forecaster.forecast(fresh[:, :9]).bound)
    infinite = replace(made, scores=(-math.inf, *made.scores[1:-1], math.inf))
    assert Calibration.from_json(infinite.to_json()) == infinite
    json.loads(infinite.to_json(), parse_constant=lambda name: pytest.fail(f"{name} is no JSON"))


def test_broken_calibrations_are_refused() -> None:
    text = calibrated(setting(False, source(2)), "direct", 40, source(3)).calibration.to_json()
    for broken in (
        "",
        "[]",
        "{}",
        text[:-20],
        text.replace('"format": 1', '"format": 2'),
        text.replace('"delta"', '"gamma"'),
        text.replace('"calibration": 40', '"calibration": 41'),
        text.replace('"delta": 0.05', '"delta": "none"'),
        text.replace('"delta": 0.05', '"delta": 0.001'),
    ):
        with pytest.raises(StlError, match="no calibration"):
            Calibration.from_json(broken)


def test_bad_requests_are_refused() -> None:
    values = streams(100, source(10))
    predictor = LastValue().fit(values)

    def calibrate(
        text: str = RULE,
        names: tuple[str, ...] = ("x",),
        observed: tuple[int, ...] = (5,),
        delta: float = 0.05,
        count: int = 100,
        at: int = 0,
    ) -> Calibration:
        return calibrate_direct(parse(text), names, values[:count], predictor, observed=observed, delta=delta, at=at)

    with pytest.raises(StlError, match=r"18 calibration trajectories are too few .* at least 19 whole"):
        calibrate(count=18)
    with pytest.raises(StlError, match="no signal y"):
        calibrate("always[0,20](y < 2.5)")
    with pytest.raises(StlError, match="at least 22 samples"):
        calibrate("always[0,21](x < 2.5)")
    with pytest.raises(StlError, match="at least 22 samples"):
        calibrate(at=1)
    with pytest.raises(StlError, match="calibration trajectories"):
        calibrate("x < 2.5", at=-1)
    for times in ((), (0,), (21,), (5, 5)):
        with pytest.raises(StlError, match="from 1 to 20"):
            calibrate(observed=times)
    assert calibrate("always (x < 2.5)").bound == calibrate().bound
    forecaster = Forecaster(FORMULA, calibrate(), predictor)
    with pytest.raises(StlError, match="6 samples seen; calibrated for 5"):
        forecaster.forecast(values[:, :6])
    with pytest.raises(StlError, match="calibrated for the formula"):
        Forecaster(parse("always[0,20](x < 2.6)"), calibrate(), predictor)
    with pytest.raises(StlError, match="calibrated for the predictor"):
        Forecaster(FORMULA, calibrate(), PerStep().fit(values))
    with pytest.raises(StlError, match="20 samples, not 21"):
        forecaster.scores(values[:, :20])


class Stubborn:
    """A user's predictor that breaks its word."""

    def __init__(self, answer: torch.Tensor) -> None:
        self.answer = answer

    def fit(self, trajectories: torch.Tensor) -> Stubborn:
        return self

    def predict(self, prefix: torch.Tensor) -> torch.Tensor:
        return self.answer

    def describe(self) -> str:
        return "stubborn"


@pytest.mark.parametrize(
    ("answer", "said"),
    [
        (torch.zeros(100, 3, 1), r"stubborn: gave the shape \(100, 3, 1\)"),
        (torch.full((100, 16, 1), math.nan), "not finite"),
    ],
)
def test_predictors_are_held_to_their_word(answer: torch.Tensor, said: str) -> None:
    with pytest.raises(StlError, match=said):
        calibrate_direct(FORMULA, ["x"], streams(100, source()), Stubborn(answer), observed=[5], delta=0.05)
