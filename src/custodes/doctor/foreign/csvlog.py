"""Logs as a table: Stable-Baselines3's `progress.csv`, or any CSV with a column per tag and one of steps."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import polars as pl

from custodes.doctor.foreign.scalars import Scalars
from custodes.errors import CustodesError

STEPS: Final = ("time/total_timesteps", "global_step", "total_timesteps", "step", "Step", "_step", "time/iterations")
"""Columns that number the rows, the first that is there."""


def read_csv_log(path: Path) -> Scalars:
    """Read one table.

    Args:
        path: A CSV file with a header.

    Raises:
        CustodesError: It cannot be read, is no table, or no column numbers its rows.
    """
    try:
        # As text: a column is a number where its every cell is one, whatever stands in the first rows.
        frame = pl.read_csv(path, infer_schema=False)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="name a CSV file") from None
    except (pl.exceptions.PolarsError, UnicodeDecodeError) as error:
        raise CustodesError(f"no CSV table: {error}", where=str(path), fix="name a CSV file with a header") from None
    order = next((name for name in STEPS if name in frame.columns), None)
    if order is None:
        raise CustodesError(
            "no column numbers the rows", where=str(path), fix=f"one of {', '.join(STEPS)} is needed in the header"
        )
    scalars = Scalars()
    steps = _steps(frame[order], path)
    for name in frame.columns:
        numbers = frame[name].cast(pl.Float64, strict=False)
        empty = frame[name].is_null() | (frame[name].str.strip_chars() == "")
        if (numbers.is_null() & ~empty).any():
            # A column of words is no signal; which tags were understood is told in the diagnosis.
            scalars.texts[name] = str(frame[name].drop_nulls()[0])
            continue
        for step, value in zip(steps, numbers.to_list(), strict=True):
            if value is not None:
                scalars.add(name, step, value)
    return scalars


def _steps(column: pl.Series, path: Path) -> list[int]:
    numbers = column.cast(pl.Float64, strict=False)
    bad = (numbers.is_null() | ~numbers.is_finite().fill_null(False)).arg_true()
    if len(bad):
        row = int(bad[0])
        raise CustodesError(
            f"{column[row]!r} in column {column.name} is no step",
            where=f"{path}: line {row + 2}",
            fix="correct or remove that line",
        )
    return [int(value) for value in numbers.to_list()]
