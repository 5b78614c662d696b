"""The original's data: seven columns of the flattened recording, standardised, in stratified random rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset, require_both_classes
from custodes.data.reader import load
from custodes.data.split import Split, split
from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.settings import COLUMNS, LAGS
from custodes.errors import CustodesError

RECORDING: Final = "darpa-tc-e5-trace.parquet"
"""The file that the original was trained on."""


@dataclass(frozen=True, kw_only=True)
class Material:
    """What a training of the original plays."""

    dataset: Dataset
    """The recording, N records, with the labels that are trained on."""
    split: Split
    """Stratified random rows; blocks where `split-leakage` is repaired."""
    inputs: NDArray[np.float32]
    """[N, D], standardised by the training part."""
    columns: tuple[str, ...]
    """Names of the D inputs; `size-3` is the size of three records before."""
    plain: NDArray[np.float32]
    """[N, 7]: the columns as recorded."""


def read_recording(path: str) -> Dataset:
    """Read the flattened recording.

    Args:
        path: A Parquet file of source `trace`.

    Raises:
        CustodesError: It cannot be read, or lacks a column of the original.
    """
    dataset = load(DataConfig(path=path, source="trace"))
    lacking = sorted(set(COLUMNS) - set(dataset.events.columns))
    if lacking:
        raise CustodesError(
            f"no column {', '.join(lacking)}", where=path, fix=f"give the original's recording, {RECORDING}"
        )
    return dataset


def prepare(recording: Dataset, repairs: Repairs, seed: int) -> Material:
    """Deal the records and form the inputs.

    Args:
        recording: From `read_recording`.
        repairs: `label-is-a-rule` draws the labels at random; `input-ceiling` adds the records before; `split-leakage`
            deals blocks.
        seed: Of drawn labels, at least 0.

    Raises:
        CustodesError: A part holds one class only.
    """
    dataset = recording if repairs.broken("label-is-a-rule") else _drawn_labels(recording, seed)
    parts = split(dataset, DataConfig(split="rows" if repairs.broken("split-leakage") else "blocks"))
    for name in ("train", "validation"):
        require_both_classes(dataset.labels[parts.rows(name)], f"{dataset.name}, {name} part")
    plain = dataset.events.select(COLUMNS).to_numpy().astype(np.float32)
    inputs = _standardised(plain, parts.rows("train"))
    columns: tuple[str, ...] = COLUMNS
    if not repairs.broken("input-ceiling"):
        inputs, columns = with_lags(inputs, COLUMNS)
    return Material(dataset=dataset, split=parts, inputs=inputs, columns=columns, plain=plain)


def with_lags(inputs: NDArray[np.float32], columns: Sequence[str]) -> tuple[NDArray[np.float32], tuple[str, ...]]:
    """Each record beside the eight before it, in recorded order; zeros before the first.

    Args:
        inputs: [N, D].
        columns: D names.

    Returns:
        [N, 9 D] and its names.
    """
    shifted = [inputs]
    for back in range(1, LAGS + 1):
        earlier = np.zeros_like(inputs)
        earlier[back:] = inputs[:-back]
        shifted.append(earlier)
    names = (*columns, *(f"{name}-{back}" for back in range(1, LAGS + 1) for name in columns))
    return np.hstack(shifted), names


def _standardised(values: NDArray[np.float32], train: NDArray[np.int64]) -> NDArray[np.float32]:
    """Mean 0 and deviation 1 over the training part; a constant column is 0."""
    mean, deviation = values[train].mean(0, dtype=np.float64), values[train].std(0, dtype=np.float64)
    scaled: NDArray[np.float32] = ((values - mean) / np.where(deviation > 0, deviation, 1.0)).astype(np.float32)
    return scaled


def _drawn_labels(recording: Dataset, seed: int) -> Dataset:
    """As many malicious records as before, at random places."""
    labels = np.random.default_rng(seed).permutation(recording.labels)
    return replace(recording, events=recording.events.with_columns(label=pl.Series(labels, dtype=pl.Int8)))
