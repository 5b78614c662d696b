"""Files of named rules, in TOML: read, checked as a whole, and refused with the place of what is wrong.

Keys: `period`, `sampling`, `time_unit`, `end`, `nan`, tables `[parameters]`, `[formulas]`, `[signals.NAME]`, and one
`[[spec]]` per rule. Two tags have a meaning: "label" (the rule reads the true label: it trains and scores, and does not
run live) and "hard" (a shield may enforce it); others are free.
"""

from __future__ import annotations

import math
import tomllib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from graphlib import CycleError, TopologicalSorter
from pathlib import Path
from typing import Any

from custodes.stl import formula as f
from custodes.stl.analysis import in_samples
from custodes.stl.durations import DurationError, exact_duration, nanoseconds
from custodes.stl.errors import StlError
from custodes.stl.grammar import PLAIN_NAME, WORDS
from custodes.stl.parser import parse
from custodes.stl.policy import End, Nan, Sampling
from custodes.stl.specraw import RawFile, RawSpec, Severity, read_raw, read_signal, read_spec
from custodes.stl.tokens import shown, tokenize

__all__ = ["Severity", "SignalInfo", "Spec", "SpecFile", "load_specs", "parse_specs"]


@dataclass(frozen=True, kw_only=True)
class SignalInfo:
    """What a file declares about a signal."""

    unit: str
    """Unit of its values, free text."""
    description: str
    """What it is."""


@dataclass(frozen=True, kw_only=True)
class Spec:
    """One rule."""

    name: str
    """Unique in its file."""
    formula: f.Formula
    """Bounds in samples where the file states a period, else as written."""
    text: str
    """The formula as written."""
    description: str
    """What it asks for, in words."""
    severity: Severity
    """How bad a violation is."""
    tags: tuple[str, ...]
    """Free words; "label" and "hard" have a meaning."""
    target: float
    """Share of violations that is allowed, in [0, 1]."""


@dataclass(frozen=True, kw_only=True)
class SpecFile:
    """All rules of a file, and how its data is read."""

    specs: tuple[Spec, ...]
    """In the file's order, at least one."""
    period_ns: int | None
    """Sampling period, nanoseconds; None when only the data's times give it."""
    sampling: Sampling
    """What irregular times mean."""
    time_unit: str
    """Unit of the time column, a key of UNITS."""
    end: End
    """Default end policy."""
    nan: Nan
    """What a NaN means."""
    signals: Mapping[str, SignalInfo]
    """Declared signals; empty when none is."""
    parameters: Mapping[str, float | str]
    """Numbers and lengths of time that formulas name."""


def load_specs(path: str | Path) -> SpecFile:
    """Read a file of rules.

    Raises:
        StlError: The file can't be read, or anything in it is wrong.
    """
    source = str(path)
    try:
        text = Path(path).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise StlError(f"byte {error.start} is not UTF-8", where=source, fix="save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise StlError(f"cannot be read: {why}", where=source, fix="name a TOML file of rules") from None
    return parse_specs(text, source)


def parse_specs(text: str, source: str = "specs") -> SpecFile:
    """Read the text of a file of rules.

    Args:
        text: TOML.
        source: What to call it in errors.

    Raises:
        StlError: Anything in it is wrong.
    """
    raw = read_raw(_toml(text, source), source)
    period = None if raw.period is None else _period(raw.period, source)
    parameters = _parameters(raw, source)
    declared = {name: read_signal(each, name, source) for name, each in raw.signals.items()}
    infos = {name: SignalInfo(unit=each.unit, description=each.description) for name, each in declared.items()}
    known = infos or None
    formulas = _formulas(raw, parameters, known, source)
    raws = [read_spec(each, index, source) for index, each in enumerate(raw.spec, start=1)]
    _check_names(raws, source)
    return SpecFile(
        specs=tuple(_spec(each, parameters, formulas, known, period, source) for each in raws),
        period_ns=period,
        sampling=raw.sampling,
        time_unit=raw.time_unit,
        end=raw.end,
        nan=raw.nan,
        signals=infos,
        parameters=parameters,
    )


def _toml(text: str, source: str) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        why = "it is nested too deeply" if isinstance(error, RecursionError) else str(error)
        raise StlError(f"no TOML: {why}", where=source, fix="correct it there") from None


def _period(text: str, source: str) -> int:
    length = _length(text, f"{source}, period")
    if length.amount == 0 or not length.unit:
        raise StlError(
            f"the sampling period is {shown(text)!r}", where=f"{source}, period", fix='write a length such as "1s"'
        )
    return nanoseconds(length)


def _length(text: str, where: str) -> f.Duration:
    """A length of time from a string of TOML."""
    parts = tokenize(text, where)
    kinds = [part.kind for part in parts]
    known_unit = kinds == ["number", "name", "end"] and parts[1].text in f.UNITS
    if not (known_unit or kinds == ["number", "end"]):
        fix = f'write a number and a unit, such as "5s"; units are {", ".join(f.UNITS)}'
        raise StlError(f"{shown(text)!r} is no length of time", where=where, fix=fix)
    try:
        return exact_duration(parts[0].text, parts[1].text if known_unit else "")
    except DurationError as error:
        raise StlError(error.what, where=where, fix=error.fix) from None


def _parameters(raw: RawFile, source: str) -> dict[str, float | str]:
    parameters: dict[str, float | str] = {}
    for name, value in raw.parameters.items():
        where = f"{source}, parameters.{shown(name)}"
        _check_name(name, where)
        if isinstance(value, str):
            _length(value, where)
            parameters[name] = value
            continue
        if isinstance(value, bool) or not isinstance(value, int | float):
            raise StlError(
                "it is neither a number nor a text", where=where, fix='write a number or a length such as "5s"'
            )
        try:
            number = float(value)
        except OverflowError:
            number = math.inf
        if not math.isfinite(number):
            raise StlError("the number is not finite", where=where, fix="write a finite number")
        parameters[name] = number
    return parameters


def _check_name(name: str, where: str) -> None:
    if not PLAIN_NAME.fullmatch(name) or name in WORDS or name in f.UNITS:
        raise StlError(
            f"{shown(name)!r} can't be named in a formula",
            where=where,
            fix="use letters, digits, _ and . for it, and no word of the language and no unit",
        )


def _formulas(
    raw: RawFile, parameters: Mapping[str, float | str], known: Collection[str] | None, source: str
) -> dict[str, f.Formula]:
    """Named sub-formulas, those that others need first."""
    needs: dict[str, set[str]] = {}
    for name, text in raw.formulas.items():
        where = f"{source}, formulas.{shown(name)}"
        _check_name(name, where)
        for other, what in ((parameters, "parameter"), (known or (), "signal")):
            if name in other:
                raise StlError(f"there is a {what} of that name too", where=where, fix="rename one of the two")
        if not isinstance(text, str):
            raise StlError("a formula is a text", where=where, fix="put it in quotes")
        tokens = tokenize(text, where)
        needs[name] = {token.text for token in tokens if token.kind == "name" and token.text in raw.formulas}
    try:
        order = tuple(TopologicalSorter(needs).static_order())
    except CycleError as error:
        # graphlib lists every name after the one that needs it.
        cycle = " -> ".join(shown(each) for each in reversed(error.args[1]))
        raise StlError(
            f"the formulas go round in a circle: {cycle}", where=f"{source}, formulas", fix="break it at one of them"
        ) from None
    made: dict[str, f.Formula] = {}
    for name in order:
        where = f"{source}, formulas.{shown(name)}"
        made[name] = parse(raw.formulas[name], parameters=parameters, formulas=made, known=known, source=where)
    return made


def _check_names(raws: Iterable[RawSpec], source: str) -> None:
    names: set[str] = set()
    for raw in raws:
        where = f"{source}, spec {shown(raw.name)}"
        if not raw.name.strip() or not raw.name.isprintable():
            raise StlError("the name is empty or not printable", where=where, fix="name the spec in words")
        if raw.name in names:
            raise StlError("two specs have this name", where=where, fix="rename one of the two")
        names.add(raw.name)
    if not names:
        raise StlError("the file has no spec", where=source, fix="add [[spec]] with a name and a formula")


def _spec(
    raw: RawSpec,
    parameters: Mapping[str, float | str],
    formulas: Mapping[str, f.Formula],
    known: Collection[str] | None,
    period: int | None,
    source: str,
) -> Spec:
    where = f"{source}, formula of spec {shown(raw.name)}"
    formula = parse(raw.formula, parameters=parameters, formulas=formulas, known=known, source=where)
    if period is not None:
        formula = in_samples(formula, period, text=raw.formula, source=where)
    return Spec(
        name=raw.name,
        formula=formula,
        text=raw.formula,
        description=raw.description,
        severity=raw.severity,
        tags=tuple(raw.tags),
        target=raw.target,
    )
