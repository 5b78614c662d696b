"""Malformed lines end in the run, or beside one that was not made, and never over a file of somebody else."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest

from custodes.errors import CustodesError
from custodes.train.rejected import REJECTS, move_into_run, rejects_aside


@pytest.fixture(autouse=True)
def _own_temporary_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


def fail(out: Path, data: bytes, fix: str = "repair it") -> str:
    """The line of a load that failed after it met `data`."""

    def load() -> None:
        with rejects_aside(out) as aside:
            aside.write_bytes(data)
            raise CustodesError("too many", where="x", fix=fix.format(aside))

    with pytest.raises(CustodesError) as caught:
        load()
    return str(caught.value)


def test_they_are_moved_into_the_run(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with rejects_aside(tmp_path / "run") as aside:
        aside.write_bytes(b"{}\n")
        move_into_run(aside, tmp_path / "run")
    assert (tmp_path / "run" / REJECTS).read_bytes() == b"{}\n"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["run", "tmp"]
    assert not any((tmp_path / "tmp").iterdir())


def test_none_make_no_file(tmp_path: Path) -> None:
    (tmp_path / "run").mkdir()
    with rejects_aside(tmp_path / "run") as aside:
        move_into_run(aside, tmp_path / "run")
    assert not any((tmp_path / "run").iterdir())
    assert fail(tmp_path / "run", b"") == "x: too many; repair it"
    assert not (tmp_path / f"run.{REJECTS}").exists()


@pytest.mark.parametrize("fix", ["repair it", "see {}, repair them"])
def test_a_failed_load_keeps_them_beside_and_says_where(tmp_path: Path, fix: str) -> None:
    line, kept = fail(tmp_path / "run", b"{}\n", fix), tmp_path / f"run.{REJECTS}"
    assert kept.read_bytes() == b"{}\n"
    assert f"see the malformed lines in {kept}" in line
    assert str(tmp_path / "tmp") not in line
    assert not any((tmp_path / "tmp").iterdir())


@pytest.mark.parametrize("fix", ["repair it", "see {}, repair them"])
def test_an_existing_file_is_never_replaced(tmp_path: Path, fix: str) -> None:
    kept = tmp_path / f"run.{REJECTS}"
    kept.write_bytes(b"mine")
    line = fail(tmp_path / "run", b"{}\n", fix)
    assert kept.read_bytes() == b"mine"
    assert f"not kept in {kept}: file exists" in line
    assert str(tmp_path / "tmp") not in line


def test_an_interrupted_load_leaves_nothing(tmp_path: Path) -> None:
    def load() -> None:
        with rejects_aside(tmp_path / "run") as aside:
            aside.write_bytes(b"{}\n")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        load()
    assert [path.name for path in tmp_path.rglob("*")] == ["tmp"]


def test_no_temporary_folder_is_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "gone"))
    with pytest.raises(CustodesError, match="cannot write to the temporary folder"), rejects_aside(tmp_path / "run"):
        pass
