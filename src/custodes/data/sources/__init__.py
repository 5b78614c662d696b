"""Foreign formats and how each maps to the event table."""

from __future__ import annotations

from typing import Final

from custodes.data.sources.base import Source
from custodes.data.sources.edr import EDR
from custodes.data.sources.flows import FLOWS
from custodes.data.sources.table import TABLE
from custodes.data.sources.trace import TRACE
from custodes.errors import CustodesError

SOURCES: Final[dict[str, Source]] = {source.name: source for source in (TRACE, EDR, FLOWS, TABLE)}
"""Sources whose rows are events, by name; `cdm` and `synthetic` are made otherwise."""


def choose(name: str, columns: frozenset[str], where: str) -> Source:
    """Source by its name, or, for `auto`, by the columns of the file.

    Raises:
        CustodesError: The name is not known, or `auto` and the columns fit no source.
    """
    if name != "auto":
        if name not in SOURCES:
            known = ", ".join(("auto", *SOURCES, "cdm", "synthetic"))
            raise CustodesError(f"unknown source {name!r}", where="data.source", fix=f"choose one of {known}")
        return SOURCES[name]
    for source in SOURCES.values():
        if source.signature and source.signature <= columns:
            return source
    if not TABLE.required <= columns:
        missing = ", ".join(sorted(TABLE.required - columns))
        raise CustodesError(
            f"the columns fit no known source; as an event table it lacks {missing}",
            where=where,
            fix="see docs/data.md",
        )
    return TABLE
