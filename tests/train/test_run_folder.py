from __future__ import annotations

import errno
import json
import math
import os
import subprocess
import sys
import tomllib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

import custodes
from custodes.errors import CustodesError
from custodes.train.config import RunConfig
from custodes.train.jsontext import json_line, json_value
from custodes.train.presets import load_preset
from custodes.train.run_folder import (
    CHECKPOINTS,
    CONFIG,
    METRICS,
    RunFolder,
    check_new,
    create_run,
    open_run,
    update_config,
)
from tests.train.test_atomic import fail


def make(path: Path) -> RunFolder:
    return create_run(path, load_preset("trace", ["seed=7", "rl.gamma=0.25"]), "d" * 64, encoder="e" * 64)


def content(folder: Path) -> dict[str, bytes | None]:
    return {str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None for path in folder.rglob("*")}


def test_created_and_opened_are_the_same(tmp_path: Path) -> None:
    run = make(tmp_path / "deep" / "run")
    assert open_run(run.path) == run
    assert sorted(os.listdir(run.path)) == [CHECKPOINTS, CONFIG]
    table = tomllib.loads((run.path / CONFIG).read_text())
    assert table["seed"] == 7
    assert table["dataset"] == {"digest": "d" * 64, "encoder": "e" * 64}
    assert table["versions"] == {
        "format": 1,
        "custodes": custodes.__version__,
        "python": ".".join(map(str, sys.version_info[:3])),
        "torch": str(torch.__version__),
        "numpy": np.__version__,
        "polars": table["versions"]["polars"],
    }


def test_an_empty_folder_is_taken(tmp_path: Path) -> None:
    assert make(tmp_path).path == tmp_path


@pytest.mark.parametrize("kind", ["run", "files", "hidden", "file"])
def test_an_existing_out_is_refused_and_untouched(tmp_path: Path, kind: str) -> None:
    out = tmp_path / "out"
    if kind == "run":
        make(out).append_metrics({"iteration": 1})
    elif kind == "file":
        out.write_text("notes")
    else:
        out.mkdir()
        (out / (".git" if kind == "hidden" else "notes")).write_text("notes")
    before = content(tmp_path)
    with pytest.raises(CustodesError, match="exists and is not empty; choose another --out") as caught:
        make(out)
    assert (f"--resume {out}" in str(caught.value)) == (kind == "run")
    assert content(tmp_path) == before


def test_a_path_below_a_file_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    for path in (tmp_path / "file" / "run", tmp_path / "file" / "deep" / "run"):
        with pytest.raises(CustodesError, match="is not a folder; choose another --out"):
            check_new(path)


@pytest.mark.parametrize("step", ["mkdir", "write", "fsync", "replace"])
@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EACCES])
def test_a_folder_that_cannot_be_completed_is_taken_back(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int
) -> None:
    with monkeypatch.context() as patch:
        fail(patch, step, OSError(number, os.strerror(number)))
        with pytest.raises(CustodesError, match=r"cannot (create|write) it"):
            make(tmp_path / "run")
    assert os.listdir(tmp_path) == []


def test_no_run_here(tmp_path: Path) -> None:
    for path in (tmp_path, tmp_path / "missing"):
        with pytest.raises(CustodesError, match=r"no run here: it has no config\.toml"):
            open_run(path)


def test_another_version_is_refused_by_name(tmp_path: Path) -> None:
    make(tmp_path)
    file = tmp_path / CONFIG
    file.write_text(file.read_text().replace("format = 1", "format = 9").replace(custodes.__version__, "8.7.6"))
    with pytest.raises(CustodesError, match=r"this run has format 9 \(custodes 8\.7\.6\), this program reads format 1"):
        open_run(tmp_path)


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("gamma = 0.25", "gamma = ", "not valid TOML"),
        ("gamma = 0.25", "gama = 0.25", r"rl\.gama: unknown setting; did you mean gamma"),
        ("gamma = 0.25", 'gamma = "x"', r"rl\.gamma: expected a number"),
        ("[versions]", "[version]", r"no \[versions\]"),
        ("digest =", "diggest =", r"no \[dataset\]"),
        ("seed = 7", "seed = 7 # \udcff", "not valid UTF-8"),
    ],
)
def test_damaged_settings_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    make(tmp_path)
    file = tmp_path / CONFIG
    text = file.read_text()
    assert old in text
    file.write_bytes(text.replace(old, new).encode("utf-8", "surrogateescape"))
    with pytest.raises(CustodesError, match=message) as caught:
        open_run(tmp_path)
    assert str(caught.value).startswith(str(file))


@pytest.mark.parametrize("size", [0, 1, 100, -1])
def test_cut_settings_are_refused(tmp_path: Path, size: int) -> None:
    make(tmp_path)
    file = tmp_path / CONFIG
    data = file.read_bytes()
    file.write_bytes(data[: size if size >= 0 else data.index(b"[versions]")])
    with pytest.raises(CustodesError, match=CONFIG):
        open_run(tmp_path)


def lines(run: RunFolder) -> list[dict[str, Any]]:
    return [json.loads(line) for line in run.metrics_path.read_text().splitlines()]


def test_metrics_are_appended_and_dropped_beyond_a_checkpoint(tmp_path: Path) -> None:
    run = make(tmp_path)
    run.keep_metrics(0)
    assert not run.metrics_path.exists()
    for iteration in range(1, 6):
        run.append_metrics({"iteration": iteration, "kl": math.nan, "x": np.float32(0.5), "t": torch.tensor(2)})
    with open(tmp_path / METRICS, "ab") as file:
        file.write(b'{"iteration": 6, "k')
    first = (tmp_path / METRICS).read_bytes().split(b"\n")[:3]
    run.keep_metrics(3)
    assert lines(run) == [{"iteration": i, "kl": None, "x": 0.5, "t": 2} for i in (1, 2, 3)]
    assert (tmp_path / METRICS).read_bytes() == b"\n".join(first) + b"\n"
    run.append_metrics({"iteration": 4})
    assert [line["iteration"] for line in lines(run)] == [1, 2, 3, 4]


@pytest.mark.parametrize("bad", [b"not json\n", b"[1]\n", b"\0\0\n", b"\n", b"\xff\n"])
def test_a_damaged_line_is_named(tmp_path: Path, bad: bytes) -> None:
    run = make(tmp_path)
    (tmp_path / METRICS).write_bytes(b'{"iteration": 1}\n' + bad)
    with pytest.raises(CustodesError, match=r"metrics\.jsonl, line 2: this line is no JSON object"):
        run.keep_metrics(1)
    assert (tmp_path / METRICS).read_bytes() == b'{"iteration": 1}\n' + bad


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_metrics_on_a_full_disk(tmp_path: Path) -> None:
    run = make(tmp_path)
    (tmp_path / METRICS).symlink_to("/dev/full")
    with pytest.raises(CustodesError, match="no space left on device; free some space"):
        run.append_metrics({"iteration": 1})


def test_an_evaluation_replaces_the_earlier_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run = make(tmp_path)
    run.write_evaluation("test", b"1")
    assert run.write_evaluation("test", b"2").read_bytes() == b"2"
    with monkeypatch.context() as patch:
        fail(patch, "write", OSError(errno.ENOSPC, "No space left on device"))
        with pytest.raises(CustodesError, match=r"evaluation-test\.json: cannot write it: no space left"):
            run.write_evaluation("test", b"3")
    assert run.evaluation_path("test").read_bytes() == b"2"


def test_json_values() -> None:
    value: dict[Any, Any] = {1: (math.inf, -math.inf, math.nan, True, None, "x", np.bool_(True), np.float64(math.inf))}
    assert json_value(value) == {"1": ["inf", "-inf", None, True, None, "x", True, "inf"]}
    assert json_line({"a": [1, 2.5]}) == '{"a": [1, 2.5]}'
    with pytest.raises(TypeError, match="set has no JSON form"):
        json_value({1})


def test_a_second_process_is_refused(tmp_path: Path) -> None:
    run = make(tmp_path)
    code = f"""
from pathlib import Path
from custodes.train.run_folder import open_run
run = open_run(Path({str(tmp_path)!r}))
with run.lock():
    print("held", flush=True)
    input()
"""
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"held\n"
        with pytest.raises(CustodesError, match="another process is training this run"), run.lock():
            pass
        other.kill()
    with run.lock():
        pass


def test_the_lock_clears_what_a_killed_writer_left(tmp_path: Path) -> None:
    run = make(tmp_path)
    litter = [tmp_path / ".config.toml.1.part", run.checkpoints / ".last.safetensors.1.part"]
    for file in litter:
        file.write_bytes(b"half")
    with run.lock():
        assert not any(file.exists() for file in litter)
    assert open_run(tmp_path).config == run.config


def test_a_run_that_does_not_say_its_encoder_opens(tmp_path: Path) -> None:
    make(tmp_path)
    file = tmp_path / CONFIG
    file.write_text(file.read_text().replace(f'encoder = "{"e" * 64}"\n', ""))
    assert open_run(tmp_path).encoder == ""


def test_changed_settings_keep_what_the_run_is_about(tmp_path: Path) -> None:
    run = make(tmp_path)
    changed = update_config(run, load_preset("trace", ["seed=7", "rl.gamma=0.5"]))
    assert open_run(tmp_path) == changed
    assert (changed.digest, changed.encoder, changed.versions) == (run.digest, run.encoder, run.versions)


def test_unreadable_settings_say_to_make_them_readable(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    make(tmp_path)

    def refuse(*args: Any, **kwargs: Any) -> str:
        raise PermissionError(errno.EACCES, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_text", refuse)
        with pytest.raises(CustodesError, match="cannot read it: permission denied; make it readable"):
            open_run(tmp_path)


def test_defaults_are_written_out(tmp_path: Path) -> None:
    create_run(tmp_path, RunConfig(), "")
    table = tomllib.loads((tmp_path / CONFIG).read_text())
    assert table["train"]["checkpoint_every"] == 10
    assert table["data"]["synthetic"]["seed"] == 0
