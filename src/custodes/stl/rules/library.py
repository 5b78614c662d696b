"""Reads the shipped rules."""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from functools import cache
from importlib.resources import files
from typing import Final

from custodes.stl.errors import StlError
from custodes.stl.specfile import SpecFile, parse_specs

FILE: Final = "defenders.toml"
"""The rules, their limits and the signals that they read."""


def load_library(names: Iterable[str] | None = None) -> SpecFile:
    """The shipped rules for defenders; `custodes.stl.traces.formula_in_samples` fits them to a sampling period.

    Args:
        names: Which rules, in this order; None for all.

    Raises:
        StlError: There is no rule of that name.
    """
    everything = _everything()
    if names is None:
        return everything
    known = {spec.name: spec for spec in everything.specs}
    chosen = []
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1)
            fix = f"did you mean {near[0]!r}?" if near else f"one of {', '.join(known)}"
            raise StlError(f"the library has no rule {name!r}", fix=fix)
        chosen.append(known[name])
    return replace(everything, specs=tuple(chosen))


def library_names() -> tuple[str, ...]:
    """Names of the shipped rules, in their order."""
    return tuple(spec.name for spec in _everything().specs)


def library_text() -> str:
    """The file of the shipped rules, to be copied and changed."""
    return files("custodes.stl.rules").joinpath(FILE).read_text(encoding="utf-8")


@cache
def _everything() -> SpecFile:
    return parse_specs(library_text(), FILE)
