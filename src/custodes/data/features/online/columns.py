"""Groups of numbers, event by event: `numeric`, `values`, `size`."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import final

import numpy as np
from numpy.typing import NDArray

from custodes.data.features.blocks import Vocabulary, signed_log
from custodes.data.features.numeric import LAGS, PAGE, WINDOW, flag_key
from custodes.data.features.online.group import Event, OnlineGroup, spread
from custodes.data.features.online.memory import ColumnPast, Process, Stream
from custodes.data.features.table import BOUND


def number(value: float) -> float:
    """A number as `Table.number` reads it: what is not finite counts as 0, and differences stay finite."""
    if not math.isfinite(value):
        return 0.0
    return min(max(float(value), -BOUND), BOUND)


@final
class Size(OnlineGroup):
    """See `plain.SIZE`."""

    names = ("size:log",)

    def __init__(self) -> None:
        self._rows: list[float] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        self._rows.append(number(event["size"]))

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = self._rows, []
        return signed_log(np.array(rows, dtype=np.float64))[None]


@final
class Values(OnlineGroup):
    """See `numeric.VALUES`."""

    def __init__(self, columns: Sequence[str]) -> None:
        self._columns = tuple(columns)
        self.names = tuple(f"{column}.{what}" for column in columns for what in ("value", "none"))
        self._rows: list[list[float]] = []

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        self._rows.append([number(event[column]) for column in self._columns])

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        rows, self._rows = np.array(self._rows, dtype=np.float64).reshape(-1, len(self._columns)).T, []
        made = np.empty((len(self.names), rows.shape[1]), dtype=np.float32)
        made[0::2] = signed_log(rows)
        made[1::2] = rows == 0
        return made


@final
class Numeric(OnlineGroup):
    """See `numeric.NUMERIC`."""

    def __init__(self, columns: Sequence[str], vocabulary: Vocabulary) -> None:
        self._columns = tuple(_Column(column, vocabulary) for column in columns)
        self.names = tuple(name for column in self._columns for name in column.names)

    def take(self, event: Event, clock: int, stream: Stream, process: Process) -> None:
        """See `OnlineGroup.take`."""
        if not stream.columns:
            stream.columns = [ColumnPast() for _ in self._columns]
        for column, past in zip(self._columns, stream.columns, strict=True):
            column.take(number(event[column.name]), stream.rows, past)

    def values(self) -> NDArray[np.float32]:
        """See `OnlineGroup.values`."""
        return np.concatenate([column.values() for column in self._columns])


@final
class _Column:
    """One numeric column."""

    def __init__(self, name: str, vocabulary: Vocabulary) -> None:
        self.name = name
        flag = vocabulary.get(flag_key(name))
        self._flag = None if flag is None else float(flag[0])
        self._choices: dict[float, int] = {}
        self._lag = ""
        self._rows: list[list[float]] = []
        self._codes: list[int] = []
        if self._flag is not None:
            self.names: tuple[str, ...] = (f"{name}.high",)
            return
        words = vocabulary[name]
        self._choices = {float(value): index for index, value in enumerate(words)}
        plain = tuple(f"{name}.{what}" for what in ("log", "zero", "change", "equal", "pages", "gap", "activity"))
        chosen = tuple(f"{name}={value:.17g}" for value in words)
        if name in vocabulary[":busy"]:
            self._lag = "log" if words else "change"
        lags = tuple(f"{name}.{self._lag}-{steps}" for steps in range(1, LAGS + 1)) if self._lag else ()
        self.names = (*plain, *chosen, *lags)

    def take(self, value: float, rows: int, past: ColumnPast) -> None:
        """Take one value; `rows` events of the stream came before."""
        active = value != 0
        known = active and past.place >= 0
        change = value - past.last if known else 0.0
        pages = value / PAGE
        past.active = [*past.active[1 - WINDOW :], int(active)]
        if self._flag is None:
            lags = past.values if self._lag == "log" else past.changes
            row = [value, change, known and change == 0, active and pages == math.floor(pages), rows - past.place]
            self._rows.append([*row, sum(past.active), *lags, *[0.0] * (LAGS - len(lags))])
            self._codes.append(self._choices.get(value, -1))
        else:
            self._rows.append([value >= self._flag])
        past.values = [value, *past.values[: LAGS - 1]]
        past.changes = [change, *past.changes[: LAGS - 1]]
        if active:
            past.last, past.place = value, rows

    def values(self) -> NDArray[np.float32]:
        """Features of the values taken since the last call, float32 [names, K]."""
        rows, self._rows = np.array(self._rows, dtype=np.float64), []
        codes, self._codes = self._codes, []
        if self._flag is not None:
            return rows.reshape(-1, 1).T.astype(np.float32)
        rows = rows.reshape(-1, 6 + LAGS).T
        made = np.empty((7, rows.shape[1]), dtype=np.float32)
        made[0], made[1], made[2] = signed_log(rows[0]), rows[0] == 0, signed_log(rows[1])
        made[3:5] = rows[2:4]
        made[5] = np.log1p(rows[4].astype(np.float32))
        made[6] = rows[5].astype(np.float32) / np.float32(WINDOW)
        parts = [made, spread(codes, len(self._choices))]
        if self._lag:
            parts.append(signed_log(rows[6:]))
        return np.concatenate(parts)
