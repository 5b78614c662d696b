"""When something began: small questions to a series."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from custodes.doctor.signals import Series, Signals


def onset(condition: NDArray[np.bool_], hold: int = 1) -> int | None:
    """The first row of the first `hold` consecutive rows where `condition` [I] holds; None without such."""
    run = 0
    for row, holds in enumerate(condition):
        run = run + 1 if holds else 0
        if run == hold:
            return row - hold + 1
    return None


def measured(values: Series) -> NDArray[np.int64]:
    """Rows [M] in which a series [I, ...] holds a number, infinities included."""
    flat = values.reshape(len(values), -1)
    return np.flatnonzero((~np.isnan(flat)).any(axis=1))


def some(condition: NDArray[np.bool_]) -> NDArray[np.bool_]:
    """Rows [I] in which any entry of [I, A] holds."""
    return np.asarray(condition.any(axis=1))


def onset_measured(signals: Signals, name: str, condition: NDArray[np.bool_], hold: int = 1) -> int | None:
    """Like `onset`, over the rows in which the series `name` was measured; a row of the signals."""
    rows = measured(signals[name])
    found = onset(condition[rows], hold)
    return None if found is None else int(rows[found])


def worst(values: Series) -> NDArray[np.float64]:
    """Largest entry of each row [I], NaN left out; NaN where all are."""
    flat = values.reshape(len(values), -1)
    known = ~np.isnan(flat)
    return np.where(known.any(axis=1), np.where(known, flat, -np.inf).max(axis=1), np.nan)


def carried(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """[I] with the last measured number where there is none; NaN before the first."""
    rows = np.where(np.isnan(values), -1, np.arange(len(values)))
    last = np.maximum.accumulate(rows)
    return np.where(last >= 0, values[np.maximum(last, 0)], np.nan)


def early(signals: Signals, name: str, count: int) -> Series:
    """The first `count` measured rows of a series."""
    values = signals[name]
    return values[measured(values)[:count]]


def typical(values: Series) -> float:
    """Median of what was measured; NaN of nothing."""
    finite = values[~np.isnan(values)]
    return float(np.median(finite)) if len(finite) else float("nan")
