"""Coverage of forecasts, and how soon drift is found: `python -m benchmarks.stl_forecast [--json]`.

Synthetic AR(1) streams of 21 samples, x' = 0.9 x + 0.5 e with e normal or Student t with 3 degrees of freedom, rule
`always[0,20](x < 2.5)`, forecast after 6 samples at delta = 0.05. Every draw calibrates on n fresh trajectories; its
coverage is measured on 200,000 others, so that it is known to +-0.001 (two standard deviations).
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import mean, median, quantiles
from typing import Any

import torch
from torch import Tensor

from custodes.stl.forecast import (
    AutoRegressive,
    DriftMonitor,
    Forecaster,
    calibrate_direct,
    calibrate_indirect,
    coverage_interval,
    recent_drift,
)
from custodes.stl.forecast.conformal import misses
from custodes.stl.formula import Formula
from custodes.stl.parser import parse

RULE = "always[0,20](x < 2.5)"
SAMPLES, SEEN, DELTA = 21, 6, 0.05
SIZES = (100, 500, 2000)
TRAINING, SCALING, TESTS, BOUNDED = 1_000, 200, 200_000, 10_000
MASS = 0.95
SHIFT = 0.05


def streams(count: int, source: torch.Generator, *, heavy: bool = False, shift: float = 0.0) -> Tensor:
    """`[count, 21, 1]` from the stationary law of normal noise; `shift` is added to every step."""
    noise = torch.randn(count, SAMPLES, dtype=torch.float64, generator=source)
    if heavy:
        square = torch.randn(count, SAMPLES, 3, dtype=torch.float64, generator=source).square().mean(-1)
        noise = noise / square.sqrt() / 3**0.5  # Unit variance like the normal.
    values = [noise[:, 0] * 0.5 / (1 - 0.81) ** 0.5]
    for step in range(1, SAMPLES):
        values.append(0.9 * values[-1] + 0.5 * noise[:, step] + shift)
    return torch.stack(values, dim=1)[..., None]


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What stays the same over the draws of one noise."""

    formula: Formula
    """The rule."""
    predictor: AutoRegressive
    """Fitted."""
    scaling: Tensor
    """Trajectories for the scales of the tube."""
    tests: Tensor
    """Trajectories that coverage is measured on."""
    true: Tensor
    """Their robustness."""
    heavy: bool
    """Student noise."""


def setting(heavy: bool, source: torch.Generator) -> Setting:
    """Fit a predictor and draw the tests."""
    tests = streams(TESTS, source, heavy=heavy)
    return Setting(
        formula=parse(RULE),
        predictor=AutoRegressive(2).fit(streams(TRAINING, source, heavy=heavy)),
        scaling=streams(SCALING, source, heavy=heavy),
        tests=tests,
        true=(2.5 - tests[..., 0]).amin(1),
        heavy=heavy,
    )


def calibrated(given: Setting, method: str, size: int, source: torch.Generator) -> Forecaster:
    """One draw of a calibration set."""
    fresh = streams(size, source, heavy=given.heavy)
    made = (
        calibrate_direct(given.formula, ["x"], fresh, given.predictor, observed=[SEEN], delta=DELTA)
        if method == "direct"
        else calibrate_indirect(
            given.formula, ["x"], given.scaling, fresh, given.predictor, observed=[SEEN], delta=DELTA
        )
    )
    return Forecaster(given.formula, made, given.predictor)


def coverage(given: Setting, method: str, size: int, draws: int, source: torch.Generator) -> dict[str, Any]:
    """Of the scores (Beta, both methods) and of the bounds (the same for direct, more for indirect)."""
    scores_covered, bounds_covered, margins = [], [], []
    probe = calibrated(given, method, size, source)
    test_scores = torch.tensor(probe.scores(given.tests), dtype=torch.float64)  # They do not depend on the draw.
    for _ in range(draws):
        forecaster = calibrated(given, method, size, source)
        made = forecaster.forecast(given.tests[:BOUNDED, :SEEN])
        scores_covered.append(float((test_scores <= forecaster.calibration.bound).double().mean()))
        bounds_covered.append(float((made.bound <= given.true[:BOUNDED] + 1e-12).double().mean()))
        margins.append(float((made.predicted - made.bound).mean()))
    low, high = coverage_interval(size, DELTA, mass=MASS)
    inside = sum(low <= covered <= high for covered in scores_covered) / draws
    expected = 1 - misses(size, DELTA) / (size + 1)
    # Of the mean over the draws, and of the tests that all draws share: three standard errors each.
    slack = 3 * ((DELTA * (1 - DELTA) / (size + 2) / draws) ** 0.5 + (DELTA * (1 - DELTA) / TESTS) ** 0.5)
    cuts = quantiles(scores_covered, n=20)
    return {
        "scores": {"mean": mean(scores_covered), "p5": cuts[0], "p95": cuts[-1]},
        "bounds": {"mean": mean(bounds_covered), "least": min(bounds_covered)},
        "beta": {"mean": expected, "interval": [low, high], "mass": MASS},
        "inside": inside,
        "margin": mean(margins),
        "ok": abs(mean(scores_covered) - expected) <= slack
        and inside >= MASS - 3 * (MASS * (1 - MASS) / draws) ** 0.5
        and mean(bounds_covered) > low,
    }


def drift(given: Setting, runs: int, length: int, alpha: float, source: torch.Generator) -> dict[str, Any]:
    """How often, and after how many trajectories, shifted and unshifted streams are flagged."""
    found: dict[str, Any] = {"alpha": alpha, "shift_per_step": SHIFT, "runs": runs, "trajectories": length, "size": 500}
    for name, shift in (("shifted", SHIFT), ("unshifted", 0.0)):
        flagged, batch_flagged = [], 0
        for run in range(runs):
            forecaster = calibrated(given, "direct", 500, source)
            scores = forecaster.scores(streams(length, source, heavy=given.heavy, shift=shift))
            monitor = DriftMonitor(forecaster.calibration, alpha=alpha, seed=run)
            first = next((number for number, score in enumerate(scores, 1) if monitor.update(score).drifted), None)
            flagged += [first] if first is not None else []
            batch_flagged += recent_drift(forecaster.calibration, scores, alpha=alpha).drifted
        found[name] = {
            "monitor": len(flagged) / runs,
            "median_trajectories": median(flagged) if flagged else None,
            "batch": batch_flagged / runs,
        }
    shifted = streams(20_000, source, heavy=given.heavy, shift=SHIFT)
    made = calibrated(given, "direct", 2000, source).forecast(shifted[:, :SEEN])
    found["coverage_when_shifted"] = float((made.bound <= (2.5 - shifted[..., 0]).amin(1)).double().mean())
    found["ok"] = min(found["shifted"]["monitor"], found["shifted"]["batch"]) >= 0.9 and (
        max(found["unshifted"]["monitor"], found["unshifted"]["batch"]) <= alpha + 2 * (alpha / runs) ** 0.5
    )
    return found


def measure(draws: int, runs: int, seed: int) -> dict[str, Any]:
    """Everything, by noise."""
    source = torch.Generator().manual_seed(seed)
    result: dict[str, Any] = {"rule": RULE, "delta": DELTA, "draws": draws, "seed": seed, "coverage": {}, "drift": {}}
    for noise in ("normal", "student3"):
        given = setting(noise == "student3", source)
        result["coverage"][noise] = {
            method: {str(size): coverage(given, method, size, draws, source) for size in SIZES}
            for method in ("direct", "indirect")
        }
        result["drift"][noise] = drift(given, runs, 500, 0.05, source)
    result["ok"] = all(each["ok"] for each in result["drift"].values()) and all(
        row["ok"] for noise in result["coverage"].values() for method in noise.values() for row in method.values()
    )
    return result


def table(result: dict[str, Any]) -> str:
    """The same for people."""
    lines = [f"{result['rule']}, delta = {result['delta']}, {result['draws']} calibration sets each"]
    for noise, methods in result["coverage"].items():
        for method, rows in methods.items():
            for size, row in rows.items():
                low, high = row["beta"]["interval"]
                lines.append(
                    f"{noise:9} {method:9} n={size:>4}  scores {row['scores']['mean']:.4f} "
                    f"({row['scores']['p5']:.3f}-{row['scores']['p95']:.3f})  bounds {row['bounds']['mean']:.4f}  "
                    f"in Beta [{low:.3f}, {high:.3f}]: {row['inside']:.0%}  margin {row['margin']:.2f}  "
                    f"{'ok' if row['ok'] else 'FAILS'}"
                )
        found = result["drift"][noise]
        lines += [f"{noise:9} {name}: {found[name]}" for name in ("shifted", "unshifted")]
        lines.append(f"{noise:9} coverage when shifted {found['coverage_when_shifted']:.3f}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement.

    Returns:
        0; or 1 when a coverage, the power or the false alarms are not as promised.
    """
    line = argparse.ArgumentParser(prog="python -m benchmarks.stl_forecast", description=__doc__)
    line.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
    line.add_argument("--draws", type=int, default=100, help="calibration sets of each size (default: 100)")
    line.add_argument("--runs", type=int, default=200, help="monitored streams with and without shift (default: 200)")
    line.add_argument("--seed", type=int, default=0, help="of everything (default: 0)")
    options = line.parse_args(arguments)
    if options.draws < 2 or options.runs < 1:
        line.error("--draws must be at least 2 and --runs at least 1")
    torch.set_num_threads(1)
    result = measure(options.draws, options.runs, options.seed)
    print(json.dumps(result) if options.json else table(result))
    return 0 if result["ok"] else 1


if __name__ == "__main__":
    sys.exit(main())
