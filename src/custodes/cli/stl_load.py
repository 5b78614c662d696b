"""What the `stl` commands read: rules by file or from the library, and a trace that fits them."""

from __future__ import annotations

import difflib
import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final, final

from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.stl.formula import Formula
    from custodes.stl.specfile import Spec, SpecFile
    from custodes.stl.traces import Trace

LIBRARY: Final = "default"
"""Stands for all shipped rules in place of a file."""
TEAM: Final = "team"
"""Stands for the rules that teams are held to by `custodes train --specs default`."""
PREFIX: Final = "library:"
"""Stands before the name of one shipped rule."""


@contextmanager
def refusals() -> Iterator[None]:
    """Turn what the rules refuse into the program's one line."""
    from custodes.stl.errors import StlError

    try:
        yield
    except StlError as error:
        raise CustodesError(error.what, where=error.where, fix=error.fix) from error


def load_rules(spec: str, names: Sequence[str] | None) -> SpecFile:
    """Rules of a file, or of the library, all or those of some names.

    Args:
        spec: A TOML file, "default", "team", or "library:NAME".
        names: From `--spec`.
    """
    from custodes.stl.rules import load_library
    from custodes.stl.specfile import load_specs

    if spec == LIBRARY:
        file = load_library()
    elif spec == TEAM:
        from custodes.stl.specfile import parse_specs
        from custodes.team.rules.book import SHIPPED, shipped

        file = parse_specs(shipped(), SHIPPED)
    elif spec.startswith(PREFIX):
        file = load_library([spec.removeprefix(PREFIX)])
    else:
        file = load_specs(spec)
    return file if not names else replace(file, specs=tuple(_named(file, name, spec) for name in dict.fromkeys(names)))


def _named(file: SpecFile, name: str, source: str) -> Spec:
    known = {spec.name: spec for spec in file.specs}
    if name not in known:
        near = difflib.get_close_matches(name, known, n=1)
        fix = f"did you mean {near[0]!r}?" if near else f"it has {', '.join(known)}"
        raise CustodesError(f"there is no rule {name!r}", where=source, fix=fix)
    return known[name]


@final
@dataclass(frozen=True, kw_only=True)
class Case:
    """Rules, and the trace that they are asked of."""

    file: SpecFile
    """The rules and what is declared about their data."""
    formulas: Mapping[str, Formula]
    """By rule, bounds in samples."""
    trace: Trace
    """Regular samples."""


def load_case(spec: str, data: str, names: Sequence[str] | None) -> Case:
    """Read rules and a whole trace.

    Args:
        spec: As for `load_rules`.
        data: A CSV, Parquet or JSON-lines file, or "-".
        names: From `--spec`.
    """
    from custodes.stl.traces import formula_in_samples, make_regular, read_table

    file = load_rules(spec, names)
    trace = make_regular(read_table(data, signal_names(file), time_unit=file.time_unit), file)
    formulas = {each.name: formula_in_samples(each, trace.period_ns, spec) for each in file.specs}
    _check_known(trace, file, data)
    return Case(file=file, formulas=formulas, trace=trace)


def signal_names(file: SpecFile) -> tuple[str, ...]:
    """The signals that the rules read, sorted."""
    from custodes.stl.analysis import signals

    return tuple(sorted({name for spec in file.specs for name in signals(spec.formula)}))


def _check_known(trace: Trace, file: SpecFile, source: str) -> None:
    """Refuse infinite samples, and missing ones where the rules do not mask them."""
    import numpy as np

    for name, values in trace.signals.items():
        bad = np.flatnonzero(np.isinf(values) | (np.isnan(values) & (file.nan == "reject")))
        if bad.size:
            raise no_number(float(values[bad[0]]), f"{source}, column {name!r}, sample {bad[0]}")


def counted(count: int, noun: str) -> str:
    """A count with its noun."""
    return f"{count:,} {noun}{'' if count == 1 else 's'}"


def no_number(value: float, where: str) -> CustodesError:
    """What to raise for an infinite sample, or for a missing one where that is refused."""
    if math.isinf(value):
        return CustodesError("the sample is infinite", where=where, fix="replace it")
    fix = 'replace it, or write nan = "mask" in the file of rules'
    return CustodesError("there is no number (NaN)", where=where, fix=fix)
