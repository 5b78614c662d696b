"""Says when the guarantee of a calibration no longer holds: tests of whether new scores still look like the old ones.

Nothing here can prove that the guarantee holds; a flag says that trajectories as exchangeable as promised would look
like this with at most the stated probability. Only scores that grow count: smaller ones leave the bound valid.
"""

from __future__ import annotations

import math
from bisect import bisect_left, bisect_right, insort
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, final

import numpy as np

from custodes.stl.errors import StlError
from custodes.stl.forecast.calibration import Calibration
from custodes.stl.forecast.conformal import exceedances_at_least

SLOPES: Final = (0.25, 0.5, 1.0)
"""Bets 1 + s (1 - 2p): each of these has mean 1 over a uniform p, and wins when scores grow as a whole."""
POWERS: Final = (0.4, 0.8)
"""Bets e p^(e-1): the smaller e, the more is put on tiny p-values."""
STAKES: Final = (0.1,)
"""Shares put on p <= delta, paid 1 / delta: these win exactly when the bound fails more often than delta."""
PURSE: Final = 0.2
"""Share that is kept out of every bet."""
JUMP: Final = 0.002
"""Share of all capital dealt out anew at every step, so that a late change is found as well as an early one."""


@dataclass(frozen=True, kw_only=True)
class DriftVerdict:
    """Where the test stands after one more trajectory."""

    count: int
    """New trajectories so far."""
    p_value: float
    """Of the last one alone: its rank among all scores so far, in (0, 1]; uniform while nothing has drifted."""
    capital: float
    """Of a gambler who bets against exchangeability and started with 1; reaches 1 / alpha with probability <= alpha."""
    peak: float
    """Largest capital so far."""
    drifted: bool
    """The capital has reached 1 / alpha, now or earlier."""


@final
class DriftMonitor:
    """Anytime-valid test, one score per finished trajectory: a conformal martingale.

    Every new score gets a conformal p-value against the calibration scores and all new ones before it; under
    exchangeability these are independent and uniform (Vovk, Nouretdinov, Gammerman: Testing Exchangeability On-Line,
    ICML 2003). Bets on small p-values multiply a capital that is a martingale then, so that by Ville's inequality the
    chance of a flag *ever* is at most alpha, however often one looks. Keeps one number per trajectory.
    """

    def __init__(self, calibration: Calibration, *, alpha: float = 0.01, seed: int = 0) -> None:
        """Start with a capital of 1.

        Args:
            calibration: Whose scores count as normal.
            alpha: Largest probability of a false alarm over all time, in (0, 1).
            seed: Of the draws that break ties among scores.
        """
        _check_alpha(alpha)
        self.alpha, self.seed = alpha, seed
        self._delta = calibration.delta
        self._scores = list(calibration.scores)
        self._calibrated = len(self._scores)
        bets = len(SLOPES) + len(POWERS) + len(STAKES)
        self._prior = np.array([PURSE, *[(1 - PURSE) / bets] * bets])
        self._capital = self._prior.copy()
        self._peak = 1.0

    @property
    def guarantee_holds(self) -> bool:
        """No drift was flagged. Once False it stays so: calibrate anew on trajectories of today."""
        return self._peak < 1 / self.alpha

    def update(self, score: float) -> DriftVerdict:
        """Take the score of one finished trajectory (`Forecaster.scores`).

        Args:
            score: Nonconformity; infinities count as such.

        Raises:
            StlError: The score is not a number.
        """
        if math.isnan(score):
            raise StlError("a score is not a number", where=f"trajectory {self._count}", fix="look at the predictor")
        p_value = self._p_value(score)
        insort(self._scores, score)
        total = float(self._capital.sum())
        self._capital = ((1 - JUMP) * self._capital + JUMP * total * self._prior) * self._payoffs(p_value)
        capital = float(self._capital.sum())
        self._peak = max(self._peak, capital)
        return DriftVerdict(
            count=self._count,
            p_value=p_value,
            capital=capital,
            peak=self._peak,
            drifted=not self.guarantee_holds,
        )

    @property
    def _count(self) -> int:
        return len(self._scores) - self._calibrated

    def _p_value(self, score: float) -> float:
        below, through = bisect_left(self._scores, score), bisect_right(self._scores, score)
        draw = 1 - np.random.default_rng((self.seed, self._count)).random()  # In (0, 1]: p is never 0.
        above, ties = len(self._scores) - through, through - below + 1
        return float((above + draw * ties) / (len(self._scores) + 1))

    def _payoffs(self, p_value: float) -> np.ndarray:
        hit = 1 / self._delta if p_value <= self._delta else 0.0
        slopes = (1 + slope * (1 - 2 * p_value) for slope in SLOPES)
        powers = (power * p_value ** (power - 1) for power in POWERS)
        return np.array([1.0, *slopes, *powers, *(1 + stake * (hit - 1) for stake in STAKES)])

    def state(self) -> dict[str, Any]:
        """Everything that `restore` needs, as JSON has it (infinite scores as Python's json writes them)."""
        return {
            "scores": list(self._scores),
            "calibrated": self._calibrated,
            "capital": self._capital.tolist(),
            "peak": self._peak,
            "delta": self._delta,
            "alpha": self.alpha,
            "seed": self.seed,
        }

    def restore(self, state: Mapping[str, Any]) -> None:
        """Go on where another monitor of the same calibration and alpha stood.

        Raises:
            StlError: A state of another calibration or alpha.
        """
        mine = self.state()
        if any(state.get(key) != mine[key] for key in ("calibrated", "delta", "alpha", "seed")):
            raise StlError("the state of another drift monitor", fix="restore with the same calibration and alpha")
        self._scores = [float(score) for score in state["scores"]]
        self._capital = np.array(state["capital"], dtype=np.float64)
        self._peak = float(state["peak"])


@dataclass(frozen=True, kw_only=True)
class RecentDrift:
    """One look at a batch of recent trajectories."""

    tested: int
    """m, recent trajectories."""
    exceedances: int
    """How many had a score above the bound."""
    exceedance_p: float
    """How likely so many are (beta-binomial, exact without ties)."""
    rank_p: float
    """How likely so large a one-sided Kolmogorov-Smirnov distance is: exp(-2 D^2 nm/(n+m)), its limit."""
    drifted: bool
    """The smaller of the two is at most alpha / 2."""


def recent_drift(calibration: Calibration, scores: Sequence[float], *, alpha: float = 0.01) -> RecentDrift:
    """Test one batch, once; false alarm at most alpha. To look again and again, use `DriftMonitor`.

    Args:
        calibration: Whose scores count as normal.
        scores: Of recent whole trajectories, none of them used before.
        alpha: Largest probability of a false alarm, in (0, 1).

    Raises:
        StlError: No score, or one that is not a number.
    """
    _check_alpha(alpha)
    if not scores or any(math.isnan(score) for score in scores):
        raise StlError("no scores, or one is not a number", fix="give scores of whole recent trajectories")
    size, tested = len(calibration.scores), len(scores)
    above = sum(score > calibration.bound for score in scores)
    exceedance_p = exceedances_at_least(above, tested, size, calibration.delta)
    old, new = np.array(calibration.scores), np.sort(scores)
    marks = np.concatenate((old, new))
    distance = float(
        np.max(np.searchsorted(old, marks, "right") / size - np.searchsorted(new, marks, "right") / tested)
    )
    rank_p = math.exp(-2 * max(0.0, distance) ** 2 * size * tested / (size + tested))
    return RecentDrift(
        tested=tested,
        exceedances=above,
        exceedance_p=exceedance_p,
        rank_p=rank_p,
        drifted=min(exceedance_p, rank_p) <= alpha / 2,
    )


def _check_alpha(alpha: float) -> None:
    if not 0 < alpha < 1:
        raise StlError(f"alpha is {alpha}", fix="give the allowed rate of false alarms, between 0 and 1")
