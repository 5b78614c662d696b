"""Rules about the whole of a process's first samples, bounded before these are over by a conformal forecast."""

from __future__ import annotations

from typing import Any, final

import torch

from custodes.errors import CustodesError
from custodes.stl import analysis
from custodes.stl.forecast import Calibration, Forecaster, LastValue
from custodes.stl.parser import parse
from custodes.stl.specfile import Severity
from custodes.team.shield.signals import SIGNALS

_NAMES = tuple(SIGNALS)


@final
class ForecastRule:
    """A rule over the first T samples of a process, with its calibration at level delta.

    The predictor is that everything stays as it was last seen: it has no weights to agree on, and takes only minima,
    maxima and differences of doubles, so that replicas on different machines get the same bits. The bound holds
    for processes exchangeable with those that were calibrated on. Whether these still look alike is watched apart
    (`custodes.stl.forecast.DriftMonitor`): a detector that keeps a number per process has no place in a ballot.

    Args:
        name: Of the rule.
        calibration: Made with the predictor `LastValue` over signals of `SIGNALS`.
        severity: How bad a violation is.

    Raises:
        CustodesError: The calibration is of another predictor, or of signals that decisions do not tell.
    """

    def __init__(self, name: str, calibration: Calibration, severity: Severity = "critical") -> None:
        self.name, self.calibration, self.severity = name, calibration, severity
        self.length = calibration.length
        predictor = LastValue().fit(torch.zeros(1, self.length, len(calibration.signals), dtype=torch.float64))
        if calibration.predictor != predictor.describe():
            raise CustodesError(
                f"calibrated with the predictor {calibration.predictor!r}",
                where=name,
                fix="calibrate with LastValue, which every replica computes alike",
            )
        unknown = [signal for signal in calibration.signals if signal not in SIGNALS]
        if unknown:
            raise CustodesError(
                f"calibrated on {unknown[0]!r}, which decisions do not tell",
                where=name,
                fix=f"some of {', '.join(SIGNALS)}",
            )
        formula = parse(calibration.formula)
        analysis.horizon(formula)
        self._columns = [_NAMES.index(signal) for signal in calibration.signals]
        self._forecaster = Forecaster(formula, calibration, predictor)

    def describe(self) -> list[Any]:
        """Everything that a bound depends on, as JSON has it."""
        return [self.name, self.severity, self.calibration.to_json()]

    def bound(self, samples: tuple[tuple[float, ...], ...]) -> float | None:
        """What the robustness of all T samples is at least, with probability 1 - delta.

        Args:
            samples: The first t samples of a process, every signal in each.

        Returns:
            The bound; None where t is no prediction time of the calibration.
        """
        if len(samples) not in self.calibration.observed:
            return None
        prefix = torch.tensor([[[row[column] for column in self._columns] for row in samples]], dtype=torch.float64)
        return float(self._forecaster.forecast(prefix).bound[0])
