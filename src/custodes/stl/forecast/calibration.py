"""What a calibration found, as data that can be stored beside a model and read back."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass, fields
from typing import Any, Final, Literal, Self, TypeAlias

from custodes.stl.errors import StlError
from custodes.stl.forecast.conformal import coverage_interval, quantile

Method: TypeAlias = Literal["direct", "indirect"]
"""direct: scores are errors of the robustness. indirect: scores are errors of the signals, in units of `scales`."""

FORMAT: Final = 1
"""Version of the JSON form."""


@dataclass(frozen=True, kw_only=True)
class Splits:
    """How many whole trajectories each step used; no trajectory serves two of them."""

    training: int
    """Fitted the predictor; 0 when that is not known or it needs none."""
    scales: int
    """Set the scales of the tube; 0 for direct."""
    calibration: int
    """n: gave the scores."""


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """Everything that a bound rests on."""

    method: Method
    """Which nonconformity."""
    formula: str
    """Canonical text of the formula."""
    signals: tuple[str, ...]
    """Columns of the trajectories, in order."""
    length: int
    """T, samples of a trajectory."""
    observed: tuple[int, ...]
    """Prediction times: samples seen, each in 1..T-1. With several, all their bounds hold together with 1 - delta."""
    at: int
    """Sample whose robustness is forecast, 0..T-1."""
    delta: float
    """Allowed share of trajectories with a bound above the true robustness, in (0, 1)."""
    predictor: str
    """The predictor's own description."""
    splits: Splits
    """Sizes of the parts."""
    scales: tuple[tuple[tuple[float, ...], ...], ...]
    """Indirect: per prediction time, sample to come and signal, > 0; empty for direct."""
    scores: tuple[float, ...]
    """Sorted nonconformity of every calibration trajectory."""

    @property
    def bound(self) -> float:
        """C: the ceil((n+1)(1-delta))-th smallest score, +inf when it is."""
        return quantile(self.scores, self.delta)

    def coverage(self, mass: float = 0.95) -> tuple[float, float]:
        """Central interval of the coverage that this one calibration set gives (Beta; see `coverage_interval`)."""
        return coverage_interval(self.splits.calibration, self.delta, mass=mass)

    def to_json(self) -> str:
        """One JSON object; numbers round-trip bit-exactly, an infinite score is the string "inf" or "-inf"."""
        made = asdict(self) | {"format": FORMAT, "scores": [_outward(score) for score in self.scores]}
        return json.dumps(made, allow_nan=False)

    @classmethod
    def from_json(cls, text: str) -> Self:
        """Read what `to_json` wrote.

        Raises:
            StlError: No such object, or one of another version.
        """
        try:
            read: dict[str, Any] = json.loads(text)
            if read.pop("format") != FORMAT or set(read) != {each.name for each in fields(cls)}:
                raise ValueError("not a calibration of this version")
            read["splits"] = Splits(**read["splits"])
            read["signals"], read["observed"] = tuple(read["signals"]), tuple(read["observed"])
            read["scores"] = tuple(float(score) for score in read["scores"])
            read["scales"] = tuple(tuple(tuple(row) for row in time) for time in read["scales"])
            made = cls(**read)
            if len(made.scores) != made.splits.calibration or list(made.scores) != sorted(made.scores):
                raise ValueError("the scores do not fit the sizes")
            quantile(made.scores, made.delta)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise StlError(f"no calibration: {error}", fix="give what Calibration.to_json wrote") from None
        return made


def _outward(score: float) -> float | str:
    return score if abs(score) < float("inf") else str(score)
