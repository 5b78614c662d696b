"""A file that is being read: its rows as mapped events, whole or in batches."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Final

import polars as pl

from custodes.errors import CustodesError

BATCH_ROWS: Final = 65_536


@dataclass(frozen=True, kw_only=True)
class Batch:
    """Consecutive rows of the event table, not checked yet."""

    events: pl.DataFrame
    """Event columns that the source gives, nulls left as they are, then pass-through columns."""
    place: Callable[[int], str]
    """Row of `events` to where it stands in the file, for messages."""


@dataclass(frozen=True, kw_only=True)
class Reading:
    """An opened file, or the generator."""

    where: str
    """Path of the file, for messages."""
    name: str
    """File name without its folder, or the name of the generator."""
    source: str
    """Source that reads it."""
    recorded_order: bool
    """Whether time may step back."""
    rows: pl.LazyFrame | Iterator[Batch]
    """Mapped rows: lazy for a columnar file, batches (good for one pass) for text and Avro."""

    def batches(self) -> Iterator[Batch]:
        """Rows in batches; memory stays bounded by the batch (and, for Parquet, by a few row groups)."""
        if not isinstance(self.rows, pl.LazyFrame):
            yield from self.rows
            return
        first = 0
        for events in self.rows.collect_batches(chunk_size=BATCH_ROWS, maintain_order=True, lazy=True):
            yield Batch(events=events, place=row_from(first))
            first += events.height

    def whole(self) -> Iterator[Batch]:
        """Rows in as few batches as there can be."""
        if isinstance(self.rows, pl.LazyFrame):
            yield Batch(events=self.rows.collect(), place=row_from(0))
        else:
            yield from self.rows


def row_from(first: int) -> Callable[[int], str]:
    """Name rows of a batch that starts at row `first` of its file, both from 0."""
    return lambda row: f"row {first + row}"


def numbered_by(word: str, numbers: list[int]) -> Callable[[int], str]:
    """Name rows of a batch by the line or record that each came from, from 1."""
    return lambda row: f"{word} {numbers[row]}"


@contextmanager
def translated(where: str) -> Iterator[None]:
    """Turn what the operating system, Polars and zlib raise over a bad file into one line.

    Raises:
        CustodesError: names the file and the first line of the reason.
    """
    try:
        yield
    except CustodesError:
        raise
    except (EOFError, zlib.error) as error:
        raise CustodesError(
            f"the file is cut off or damaged: {error}", where=where, fix="fetch or export it again"
        ) from error
    except OSError as error:
        raise CustodesError(
            f"cannot read: {first_line(error)}", where=where, fix="check the file and its permissions"
        ) from error
    except (pl.exceptions.PolarsError, pl.exceptions.PanicException) as error:
        raise CustodesError(
            f"cannot read: {first_line(error)}", where=where, fix="the file may be cut off or damaged"
        ) from error


def first_line(error: BaseException) -> str:
    """What an error says, on one line."""
    text = getattr(error, "strerror", None) or str(error).strip() or type(error).__name__
    return str(text).splitlines()[0]
