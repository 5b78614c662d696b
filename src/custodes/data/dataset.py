"""A loaded event table with where it came from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from custodes.data.schema import BENIGN, MALICIOUS, extra_columns
from custodes.errors import CustodesError


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """Recorded events in memory, checked against the schema."""

    name: str
    """File name without its folder, or the name of the generator."""
    source: str
    """Source that read it: table, trace, edr, flows, cdm or synthetic."""
    events: pl.DataFrame
    """Event table, N rows in recorded order: the columns of `EVENT_SCHEMA`, then numeric pass-through columns."""
    recorded_order: bool
    """True when the order of the rows is the recorder's own and `time` may step back or be 0."""
    digest: str
    """SHA-256 of the table in hexadecimal; equal for equal tables on every machine."""
    rejected: int
    """Malformed lines that were left out, at least 0."""

    @property
    def labels(self) -> np.ndarray:
        """Labels, int8 [N]: 0 benign, 1 malicious, 2 contaminated, -1 unknown."""
        return self.events["label"].to_numpy()

    @property
    def extras(self) -> tuple[str, ...]:
        """Names of the numeric pass-through columns."""
        return extra_columns(self.events.schema)

    def __len__(self) -> int:
        """Number of records."""
        return self.events.height


def require_both_classes(labels: np.ndarray, where: str) -> None:
    """Refuse labels that hold one class only, from which nothing can be learned.

    Args:
        labels: Labels, int [N], in the words of `custodes.data.schema`.
        where: What the labels belong to, such as "training part of x.parquet".

    Raises:
        CustodesError: No benign or no malicious record among them.
    """
    for value, word in ((MALICIOUS, "malicious"), (BENIGN, "benign")):
        if not np.any(labels == value):
            raise CustodesError(
                f"no {word} record among {len(labels)}",
                where=where,
                fix="choose another split or data with both classes",
            )


def codes(events: pl.DataFrame, *names: str) -> np.ndarray:
    """Number the distinct values of one or more string columns, int64 [N], from 0 in the order of first appearance."""
    groups = events.select(names).unique(maintain_order=True).with_row_index("code")
    joined = events.select(names).join(groups, on=list(names), how="left", maintain_order="left")
    return joined["code"].to_numpy().astype(np.int64)
