"""The encoder's file: the same encoder back, and a line for whatever else may lie there."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.features import DEFAULT_GROUPS, Encoder
from custodes.data.reader import load
from custodes.data.synthetic import SyntheticConfig
from custodes.errors import CustodesError
from custodes.train.encoder_file import ENCODER, encoder_digest, read_encoder, write_encoder

CONFIG = DataConfig(
    source="synthetic",
    synthetic=SyntheticConfig(hosts=2, processes=20, events=1500, campaigns=6),
    names="shown",
    groups=(*DEFAULT_GROUPS, "values", "names"),
)


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return load(CONFIG)


@pytest.fixture(scope="module")
def encoder(dataset: Dataset) -> Encoder:
    return Encoder.fit(dataset, np.arange(len(dataset)), CONFIG)


def test_written_and_read_are_the_same(tmp_path: Path, encoder: Encoder) -> None:
    write_encoder(tmp_path, encoder)
    assert read_encoder(tmp_path) == encoder
    assert read_encoder(tmp_path, encoder_digest(encoder)) == encoder


def zero_scale(saved: dict[str, Any]) -> None:
    saved["columns"][0]["scale"] = 0.0


def negative_scale(saved: dict[str, Any]) -> None:
    saved["columns"][0]["scale"] = -1.0


def infinite_mean(saved: dict[str, Any]) -> None:
    saved["columns"][0]["mean"] = 1e999


def emptied_vocabularies(saved: dict[str, Any]) -> None:
    saved["vocabulary"] = {name: {} for name in saved["vocabulary"]}


def no_vocabulary(saved: dict[str, Any]) -> None:
    saved["vocabulary"] = {}


def no_columns(saved: dict[str, Any]) -> None:
    saved["columns"] = []


def no_groups(saved: dict[str, Any]) -> None:
    del saved["groups"]


DAMAGES = (zero_scale, negative_scale, infinite_mean, emptied_vocabularies, no_vocabulary, no_columns, no_groups)


@pytest.mark.parametrize("damage", DAMAGES)
def test_what_encodes_nothing_is_one_line(
    tmp_path: Path, encoder: Encoder, damage: Callable[[dict[str, Any]], None]
) -> None:
    saved = json.loads(json.dumps(encoder.to_json()))
    damage(saved)
    (tmp_path / ENCODER).write_text(json.dumps(saved))
    with pytest.raises(CustodesError, match=r"encoder\.json: .*; restore it from a backup$"):
        read_encoder(tmp_path)


def test_another_encoder_than_the_runs_is_refused(tmp_path: Path, encoder: Encoder) -> None:
    write_encoder(tmp_path, encoder)
    digest = encoder_digest(encoder)
    saved = encoder.to_json()
    # The least change that still encodes: nobody but the digest can tell.
    saved["columns"][0]["mean"] += 1e-9
    (tmp_path / ENCODER).write_text(json.dumps(saved) + "\n")
    read_encoder(tmp_path)
    with pytest.raises(CustodesError, match="not the encoder that the run was trained with"):
        read_encoder(tmp_path, digest)


@pytest.mark.parametrize("data", [b"", b"{", b"\xff", b"null"])
def test_what_is_no_encoder_is_one_line(tmp_path: Path, data: bytes) -> None:
    (tmp_path / ENCODER).write_bytes(data)
    with pytest.raises(CustodesError, match="encoder"):
        read_encoder(tmp_path)


def test_a_missing_one_is_one_line(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match=r"cannot read it: no such file .*; check the path"):
        read_encoder(tmp_path)
