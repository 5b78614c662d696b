"""The encoder: fitted on training rows, it turns an event table into inputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

import msgspec
import numpy as np
from numpy.typing import NDArray

from custodes.data.features.blocks import Choice, Group, Number, Scaling, Vocabulary
from custodes.data.features.history import COUNTS, NOVELTY, TIMING
from custodes.data.features.lineage import LINEAGE
from custodes.data.features.names import NAMES
from custodes.data.features.numeric import NUMERIC, VALUES
from custodes.data.features.plain import CHANNEL, KIND, OBJECT_KIND, SIZE
from custodes.data.features.reputation import REPUTATION, STANDING
from custodes.data.features.table import Table
from custodes.data.schema import PART
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.data.config import DataConfig
    from custodes.data.dataset import Dataset

GROUPS: Final[dict[str, Group]] = {
    group.name: group
    for group in (
        NUMERIC,
        VALUES,
        CHANNEL,
        KIND,
        OBJECT_KIND,
        SIZE,
        TIMING,
        COUNTS,
        LINEAGE,
        NOVELTY,
        REPUTATION,
        NAMES,
        STANDING,
    )
}
"""Every feature group by name, in the order of its columns."""

NAMED: Final = ("names", "standing")
"""Groups that read executables' names."""

DEFAULT_GROUPS: Final = tuple(name for name in GROUPS if name not in ("values", *NAMED))
"""Groups in use when a run names none."""

LIMIT: Final = 8.0
"""Largest magnitude of an input."""

_CHUNK: Final = 2048  # rows turned from column to row order at a time: they stay in cache


@dataclass(frozen=True, kw_only=True)
class Column:
    """One input."""

    name: str
    """Name, unique within the encoder."""
    group: str
    """Feature group."""
    mean: float = 0.0
    """Subtracted from the feature; of the training rows, or 0."""
    scale: float = 1.0
    """Then divided by; above 0."""


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Feature groups with what they learned on the training rows.

    `transform` is causal: row i depends on rows up to i of its stream only, so a prefix of the events gives
    a prefix of the inputs.
    """

    groups: tuple[str, ...]
    """Feature groups in use."""
    numeric: tuple[str, ...]
    """Numeric columns of the groups `numeric` and `values`."""
    vocabulary: dict[str, Vocabulary]
    """Learned values by group."""
    columns: tuple[Column, ...]
    """The D inputs in order."""

    @classmethod
    def fit(cls, dataset: Dataset, rows: NDArray[np.integer[Any]], config: DataConfig) -> Encoder:
        """Learn vocabularies and statistics from the training rows alone.

        The history of a training row is taken over the training rows here, so that no other row changes any statistic.

        Args:
            dataset: Events, N rows.
            rows: Training rows, int [M], ascending.
            config: Settings; `groups`, `columns` and `names` are read.

        Raises:
            CustodesError: An unknown group or column, names asked for while hidden, no training row, or no input left.
        """
        groups = _groups(config)
        numeric = _numeric_columns(dataset, config) if {"numeric", "values"} & set(groups) else ()
        if not len(rows):
            raise CustodesError(
                "no training row to fit the inputs on", where=dataset.name, fix="change data.split or data.fractions"
            )
        table = _table(dataset, groups, numeric, rows)
        table = Table(events=table.events, columns=tuple(name for name in numeric if not table.constant(name)))
        vocabulary = {name: GROUPS[name].learn(table) for name in groups}
        columns = tuple(column for name in groups for column in _fit_group(GROUPS[name], table, vocabulary[name]))
        if not columns:
            raise CustodesError(
                f"groups {', '.join(groups)} give no input that varies over the {len(rows)} training rows",
                where=dataset.name,
                fix="name other data.groups or data.columns",
            )
        return cls(groups=groups, numeric=table.columns, vocabulary=vocabulary, columns=columns)

    def transform(self, dataset: Dataset) -> NDArray[np.float32]:
        """Inputs of a dataset, float32 [N, D], each in [-8, 8].

        Raises:
            CustodesError: The dataset lacks a column that the encoder reads.
        """
        table = _table(dataset, self.groups, self.numeric)
        place = {column.name: index for index, column in enumerate(self.columns)}
        inputs = np.zeros((len(self.columns), table.rows), dtype=np.float32)
        for name in self.groups:
            for block in GROUPS[name].blocks(table, self.vocabulary[name]):
                if isinstance(block, Number):
                    if (index := place.get(block.name)) is not None:
                        _scaled(block.values(), self.columns[index], inputs[index])
                elif any(title in place for title in block.names):
                    _spread(block, place, inputs)
        return _by_rows(inputs)

    def to_json(self) -> dict[str, Any]:
        """The encoder as JSON-able values; `from_json` gives back an equal one, to the last bit."""
        return {
            "groups": list(self.groups),
            "numeric": list(self.numeric),
            "vocabulary": {name: {key: list(v) for key, v in words.items()} for name, words in self.vocabulary.items()},
            "columns": [asdict(column) for column in self.columns],
        }

    @classmethod
    def from_json(cls, saved: dict[str, Any]) -> Encoder:
        """Encoder from what `to_json` gave.

        Raises:
            CustodesError: Something is missing, of the wrong type, or names a group that this version does not have.
        """
        try:
            encoder = msgspec.convert(saved, cls)
        except msgspec.ValidationError as error:
            raise CustodesError(f"not an encoder: {error}", fix="save the run again with this version") from error
        unknown = [name for name in encoder.groups if name not in GROUPS or name not in encoder.vocabulary]
        if unknown:
            raise CustodesError(
                f"not an encoder: feature group {unknown[0]!r} is unknown", fix="save the run again with this version"
            )
        return encoder


def _groups(config: DataConfig) -> tuple[str, ...]:
    shown = config.names == "shown"
    chosen = (*(config.groups or DEFAULT_GROUPS), *(config.named if shown else ()))
    for name in chosen:
        if name not in GROUPS:
            raise CustodesError(f"no feature group {name!r}", where="data.groups", fix=f"one of {', '.join(GROUPS)}")
    wrong = [name for name in config.named if name not in NAMED]
    if wrong:
        raise CustodesError(f"group {wrong[0]} reads no names", where="data.named", fix=f"some of {', '.join(NAMED)}")
    named = [name for name in NAMED if name in chosen]
    if named and not shown:
        raise CustodesError(
            f"group {named[0]} reads executables' names, which are hidden",
            where="data.groups",
            fix="set data.names=shown or drop it",
        )
    return tuple(name for name in GROUPS if name in chosen)


def _numeric_columns(dataset: Dataset, config: DataConfig) -> tuple[str, ...]:
    usable = tuple(
        n for n, kind in dataset.events.schema.items() if kind.is_numeric() and n not in ("time", "label", PART)
    )
    for name in config.columns:
        if name not in usable:
            raise CustodesError(
                f"no numeric column {name!r} in {dataset.name}", where="data.columns", fix=f"one of {', '.join(usable)}"
            )
    return tuple(dict.fromkeys(config.columns)) or tuple(name for name in usable if name != "size")


def _table(
    dataset: Dataset, groups: tuple[str, ...], numeric: tuple[str, ...], rows: NDArray[np.integer[Any]] | None = None
) -> Table:
    wanted = dict.fromkeys(("stream", *(column for name in groups for column in GROUPS[name].reads), *numeric))
    if rows is not None:
        wanted |= dict.fromkeys(column for name in groups for column in GROUPS[name].learns_from)
    optional = (column for name in groups for column in GROUPS[name].optional)
    wanted |= dict.fromkeys(column for column in optional if column in dataset.events.columns)
    missing = [name for name in wanted if name not in dataset.events.columns]
    if missing:
        raise CustodesError(
            f"column {', '.join(missing)} is missing", where=dataset.name, fix="load data with the columns of the run"
        )
    events = dataset.events.select(list(wanted))
    return Table(events=events if rows is None else events[rows], columns=numeric)


def _fit_group(group: Group, table: Table, vocabulary: Vocabulary) -> Iterator[Column]:
    """Columns of a group that vary over the training rows; of equal ones the first."""
    seen: set[bytes] = set()
    for block in group.blocks(table, vocabulary):
        if isinstance(block, Choice):
            rows = np.bincount(block.codes() + 1, minlength=len(block.names) + 1)[1:]
            for title, count in zip(block.names, rows, strict=True):
                if 0 < count < table.rows:
                    yield Column(name=title, group=group.name)
            continue
        values = block.values().astype(np.float32)
        content = values.tobytes()
        if values.min() < values.max() and content not in seen:
            seen.add(content)
            mean, scale = _moments(values, block.scaling)
            yield Column(name=block.name, group=group.name, mean=mean, scale=scale)


def _moments(values: NDArray[np.float32], scaling: Scaling) -> tuple[float, float]:
    """Mean and scale of the training values, summed in double precision."""
    if scaling == "none":
        return 0.0, 1.0
    if scaling == "scale":
        active = values[values != 0]
        return 0.0, max(float(np.sqrt(np.mean(active**2, dtype=np.float64))), 1e-6)
    mean = np.mean(values, dtype=np.float64)
    return float(mean), max(float(np.sqrt(np.mean((values - mean) ** 2, dtype=np.float64))), 1e-6)


def _scaled(values: NDArray[np.generic], column: Column, out: NDArray[np.float32]) -> None:
    """(values - mean) / scale into `out`, clipped."""
    out[:] = values
    if values.dtype == np.bool_:
        return
    out -= np.float32(column.mean)
    out /= np.float32(column.scale)
    np.clip(out, -LIMIT, LIMIT, out=out)


def _spread(block: Choice, place: dict[str, int], inputs: NDArray[np.float32]) -> None:
    """Set the column that each row's code names; a column that was dropped stays out."""
    target = np.array([*(place.get(title, -1) for title in block.names), -1], dtype=np.int64)[block.codes()]
    rows = np.flatnonzero(target >= 0)
    inputs[target[rows], rows] = 1.0


def _by_rows(inputs: NDArray[np.float32]) -> NDArray[np.float32]:
    """[D, N] to [N, D], contiguous by row."""
    turned = np.empty(inputs.shape[::-1], dtype=np.float32)
    for start in range(0, len(turned), _CHUNK):
        turned[start : start + _CHUNK] = inputs[:, start : start + _CHUNK].T
    return turned
