"""What detectors read: series by iteration and facts about the run, however they were recorded.

A signal that was not recorded is absent, and a value that was not measured is NaN; nothing is filled in, so that a
detector without its signals is listed as not having looked.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from custodes.doctor.facts import Facts

Series = NDArray[np.float64]
"""float64 [I] or [I, A, ...]: iteration first; NaN where not measured."""


RULES: Final = {
    "spec_satisfied": "satisfied",
    "spec_windows": "triggered",
    "spec_cost": "cost",
    "spec_multiplier": "multiplier",
    "spec_target": "target",
}
"""Series [I, S] of the rules that training obeys, and the key of each in a rule's part of a metrics line."""


@dataclass(frozen=True, kw_only=True)
class Signals:
    """I recorded iterations of one run."""

    iterations: tuple[int, ...]
    """[I]: their numbers, ascending, from 1."""
    series: Mapping[str, Series]
    """Signals by name (docs/doctor.md lists those that detectors read), each with I rows."""
    facts: Facts = field(default_factory=Facts)
    """What is known about the run as a whole."""

    def __post_init__(self) -> None:
        """Refuse series of another length than the iterations; a defect of the caller."""
        for name, values in self.series.items():
            if len(values) != len(self.iterations):
                raise ValueError(f"{name} has {len(values)} rows for {len(self.iterations)} iterations")

    def __len__(self) -> int:
        """I."""
        return len(self.iterations)

    def __getitem__(self, name: str) -> Series:
        """One series; `KeyError` without it, which `missing` tells beforehand."""
        return self.series[name]

    def has(self, name: str) -> bool:
        """Whether a series holds a number, or a fact (`facts.NAME`) is known."""
        if name.startswith("facts."):
            return getattr(self.facts, name.removeprefix("facts.")) is not None
        return name in self.series and bool(np.isfinite(self.series[name]).any())

    def missing(self, names: Sequence[str]) -> tuple[str, ...]:
        """Which of `names` are not there."""
        return tuple(name for name in names if not self.has(name))

    def get(self, name: str) -> Series:
        """One series, or NaN throughout where it was not recorded."""
        return self.series[name] if name in self.series else np.full(len(self), np.nan)

    def until(self, count: int) -> Signals:
        """The first `count` iterations alone."""
        cut = {name: values[:count] for name, values in self.series.items()}
        return Signals(iterations=self.iterations[:count], series=cut, facts=self.facts)


def signals_of(lines: Sequence[Mapping[str, Any]], facts: Facts | None = None) -> Signals:
    """Signals from one JSON object per iteration, as in `metrics.jsonl`.

    Args:
        lines: Each with key `iteration`; numbers, null, "inf" and "-inf", and lists of these, nested alike in every
            line. Other values are left out. Of two lines of one iteration the later counts. What `specs` holds becomes
            the series of `RULES`, without the rules that are measured only: nothing is learned from these.
        facts: What else is known.
    """
    by_iteration: dict[int, dict[str, Any]] = {}
    for line in lines:
        by_iteration.setdefault(int(line["iteration"]), {}).update(line)
    iterations = tuple(sorted(by_iteration))
    rows = [by_iteration[number] for number in iterations]
    series: dict[str, Series] = {}
    for name in dict.fromkeys(key for row in rows for key in row if key != "iteration"):
        values = _column([row.get(name) for row in rows])
        if values is not None:
            series[name] = values
    facts = facts or Facts()
    names = tuple(dict.fromkeys(name for row in rows for name in row.get("specs") or ()))
    if names:
        series |= {name: _by_rule(rows, names, key) for name, key in RULES.items()}
        facts = replace(facts, specs=names)
    return Signals(iterations=iterations, series=series, facts=facts)


def _by_rule(rows: Sequence[Mapping[str, Any]], names: Sequence[str], key: str) -> Series:
    """One number of each rule that is trained, [I, S]; NaN where there is none."""
    found = np.full((len(rows), len(names)), np.nan)
    for index, row in enumerate(rows):
        for spec, name in enumerate(names):
            rule = (row.get("specs") or {}).get(name) or {}
            if rule.get("trained", True) and rule.get(key) is not None:
                found[index, spec] = rule[key]
    return found


_PLAIN: Final = (float, int, bool, type(None))
"""Types of a number that needs no reading; most columns hold nothing else."""


def _column(values: Sequence[Any]) -> Series | None:
    """Values of one key, a row each; None where they are no numbers or change their shape."""
    if all(type(value) in _PLAIN for value in values):
        return np.array([np.nan if value is None else value for value in values], dtype=np.float64)
    try:
        found = [None if value is None else np.asarray(_numbers(value), dtype=np.float64) for value in values]
    except (TypeError, ValueError):
        return None
    shapes = {part.shape for part in found if part is not None}
    if len(shapes) > 1:
        return None
    shape = shapes.pop() if shapes else ()
    return np.stack([np.full(shape, np.nan) if part is None else part for part in found])


def _numbers(value: Any) -> Any:
    """A JSON value with null as NaN and the texts "inf" and "-inf" as numbers."""
    if isinstance(value, list | tuple):
        return [_numbers(part) for part in value]
    if value is None:
        return np.nan
    if isinstance(value, str) and value not in ("inf", "-inf"):
        raise TypeError("text is no number")
    return float(value)
