from __future__ import annotations

import errno
import json
import math
import os
import pickle
from pathlib import Path
from typing import Any

import pytest
import safetensors
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from custodes.errors import CustodesError
from custodes.train import checkpoint
from custodes.train.checkpoint import BEST, LAST, PREVIOUS, decode, encode, load, load_file, save, save_best
from tests.train.test_atomic import Crash, fail

SCALARS: dict[str, Any] = {"iteration": 3, "rng": 2**127 + 1, "best": -math.inf, "nested": {"a": [1, "x", None, True]}}


def state(value: int) -> tuple[dict[str, Tensor], dict[str, Any]]:
    return {"w": torch.full((2,), float(value))}, {"iteration": value}


def refuse(message: str) -> None:
    raise AssertionError(f"unexpected warning: {message}")


@pytest.mark.parametrize(
    "tensor",
    [
        torch.randn(3, 4),
        torch.randn(3, 4).T,
        torch.randn(4, dtype=torch.float64)[::2],
        torch.tensor(5),
        torch.zeros(0, 3),
        torch.tensor([True, False]),
        torch.get_rng_state(),
        torch.randn(2).bfloat16(),
        torch.nn.Parameter(torch.randn(2)),
        torch.tensor([math.nan, -0.0, math.inf]),
    ],
)
def test_round_trip_is_exact(tensor: Tensor) -> None:
    loaded = decode(encode({"a": tensor, "same": tensor}, SCALARS), "x")
    for name in ("a", "same"):
        value = loaded.tensors[name]
        assert value.dtype == tensor.dtype
        assert value.shape == tensor.shape
        plain = tensor.detach().contiguous()
        assert value.reshape(-1).view(torch.uint8).equal(plain.reshape(-1).view(torch.uint8))
    assert loaded.scalars == SCALARS


@given(st.floats(allow_nan=False))
def test_scalar_floats_keep_every_bit(number: float) -> None:
    assert decode(encode({}, {"x": number}), "x").scalars["x"].hex() == number.hex()


@given(st.dictionaries(st.text(), st.text()))
def test_any_text_survives(scalars: dict[str, str]) -> None:
    assert decode(
        encode({"sha256": torch.ones(1)}, {**scalars, '"sha256":"' + "0" * 64 + '"': 1}), "x"
    ).scalars.items() >= (scalars.items())


def test_any_safetensors_program_reads_it(tmp_path: Path) -> None:
    save_best(tmp_path, {"a": torch.arange(3)}, SCALARS)
    with safetensors.safe_open(tmp_path / BEST, "pt") as file:
        assert file.get_tensor("a").tolist() == [0, 1, 2]
        assert json.loads(file.metadata()["scalars"]) == SCALARS


def test_a_cut_at_every_byte_is_found() -> None:
    data = encode(*state(1))
    for size in range(len(data)):
        with pytest.raises(CustodesError, match=r"^file: the checkpoint is damaged"):
            decode(data[:size], "file")


def test_a_flip_at_every_byte_is_found() -> None:
    data = encode(*state(1))
    for place in range(len(data)):
        for bit in (0, 5, 7):
            damaged = bytearray(data)
            damaged[place] ^= 1 << bit
            with pytest.raises(CustodesError, match=r"^file: the checkpoint is damaged"):
                decode(bytes(damaged), "file")


def test_appended_bytes_are_found() -> None:
    with pytest.raises(CustodesError, match="damaged"):
        decode(encode(*state(1)) + b"\0", "file")


def test_a_pickle_is_never_loaded(tmp_path: Path) -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return os.mkdir, (str(tmp_path / "pwned"),)

    (tmp_path / LAST).write_bytes(pickle.dumps(Bomb()))
    with pytest.raises(CustodesError, match="damaged"):
        load(tmp_path, refuse)
    torch.save({"w": Bomb()}, tmp_path / LAST)
    with pytest.raises(CustodesError, match="damaged"):
        load(tmp_path, refuse)
    assert not (tmp_path / "pwned").exists()


def test_another_format_is_refused_by_name(monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "FORMAT", 7)
        data = encode(*state(1))
    with pytest.raises(CustodesError, match="format 7, this program reads format 1; use the version"):
        decode(data, "file")


def test_the_one_before_is_kept(tmp_path: Path) -> None:
    for value in (1, 2, 3):
        save(tmp_path, *state(value))
    assert load(tmp_path, refuse).scalars["iteration"] == 3
    assert load_file(tmp_path / PREVIOUS).scalars["iteration"] == 2
    assert sorted(os.listdir(tmp_path)) == [LAST, PREVIOUS]


@pytest.mark.parametrize("damage", ["cut", "empty", "gone"])
def test_a_damaged_last_falls_back_with_one_line(tmp_path: Path, damage: str) -> None:
    save(tmp_path, *state(1))
    save(tmp_path, *state(2))
    last = tmp_path / LAST
    if damage == "gone":
        last.unlink()
    else:
        last.write_bytes(last.read_bytes()[:-1] if damage == "cut" else b"")
    lines: list[str] = []
    assert load(tmp_path, lines.append).scalars["iteration"] == 1
    assert len(lines) == 1
    assert str(last) in lines[0]
    assert "\n" not in lines[0]
    save(tmp_path, *state(3))
    assert load(tmp_path, refuse).scalars["iteration"] == 3
    assert load_file(tmp_path / PREVIOUS).scalars["iteration"] == 1, "a damaged file must not replace the good one"


def test_nothing_good_is_refused(tmp_path: Path) -> None:
    with pytest.raises(CustodesError, match="no checkpoint yet"):
        load(tmp_path, refuse)
    (tmp_path / LAST).write_bytes(b"x")
    with pytest.raises(CustodesError, match=r"last\.safetensors: the checkpoint is damaged"):
        load(tmp_path, refuse)
    (tmp_path / PREVIOUS).write_bytes(b"x")
    with pytest.raises(CustodesError, match="neither checkpoint can be used") as caught:
        load(tmp_path, refuse)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("error", [Crash(), OSError(errno.ENOSPC, "No space left on device")])
@pytest.mark.parametrize(
    ("step", "uses"), [("open", 4), ("write", 2), ("fsync", 4), ("close", 4), ("replace", 2), ("read", 1)]
)
def test_a_write_interrupted_anywhere_keeps_a_good_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, uses: int, error: BaseException
) -> None:
    for after in range(uses):
        folder = tmp_path / f"{after}"
        folder.mkdir()
        for value in (1, 2):
            save(folder, *state(value))
        with monkeypatch.context() as patch:
            if step == "read":
                patch.setattr(Path, "read_bytes", lambda _: (_ for _ in ()).throw(Crash()))
                expected: type[BaseException] = Crash
            else:
                fail(patch, step, error, after)
                expected = CustodesError if isinstance(error, OSError) else Crash
            if isinstance(error, Crash):
                patch.setattr(os, "unlink", lambda _: (_ for _ in ()).throw(Crash()))
            with pytest.raises(expected):
                save(folder, *state(3))
        loaded = load(folder, refuse).scalars["iteration"]
        assert loaded in (2, 3)
        save(folder, *state(4))
        assert load(folder, refuse).scalars["iteration"] == 4
