from __future__ import annotations

import errno
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from custodes.errors import CustodesError
from custodes.train.atomic import check_writable, disk_error, remove_litter, write_atomic

STEPS = ("open", "write", "fsync", "close", "replace")


class Crash(BaseException):
    """The process dies: nothing of the program may clean up after it."""


def fail(monkeypatch: pytest.MonkeyPatch, step: str, error: BaseException, after: int = 0) -> None:
    """Make one system call raise from its `after`-th use on."""
    real = getattr(os, step)
    calls = 0

    def broken(*args: Any, **kwargs: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls > after:
            if step == "close":
                real(*args)
            raise error
        return real(*args, **kwargs)

    monkeypatch.setattr(os, step, broken)


@pytest.mark.parametrize("data", [b"", b"new", bytes(range(256)) * 4096])
def test_content_is_replaced(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    write_atomic(path, data)
    assert path.read_bytes() == data
    assert os.listdir(tmp_path) == ["file"]


def test_short_writes_are_continued(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.write
    monkeypatch.setattr(os, "write", lambda handle, data: real(handle, data[:3]))
    write_atomic(tmp_path / "file", b"ten bytes.")
    assert (tmp_path / "file").read_bytes() == b"ten bytes."


@pytest.mark.parametrize("step", STEPS)
@pytest.mark.parametrize(
    ("number", "word"),
    [(errno.ENOSPC, "free some space"), (errno.EACCES, "make the folder writable"), (errno.EIO, "try again")],
)
def test_refused_step_keeps_the_old_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str, number: int, word: str
) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        fail(patch, step, OSError(number, os.strerror(number)))
        with pytest.raises(CustodesError) as caught:
            write_atomic(path, b"new")
    assert str(path) in str(caught.value)
    assert word in str(caught.value)
    assert path.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["file"]


def test_folder_that_cannot_be_flushed_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        fail(patch, "fsync", OSError(errno.EIO, "Input/output error"), after=1)
        with pytest.raises(CustodesError, match="cannot write it"):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"new"
    assert os.listdir(tmp_path) == ["file"]


@pytest.mark.parametrize("step", STEPS)
def test_crash_before_each_step_keeps_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: str) -> None:
    path = tmp_path / "file"
    path.write_bytes(b"old")
    with monkeypatch.context() as patch:
        fail(patch, step, Crash())
        # A killed process does not run its clean-up either.
        patch.setattr(os, "unlink", lambda _: (_ for _ in ()).throw(Crash()))
        with pytest.raises(Crash):
            write_atomic(path, b"new")
    assert path.read_bytes() == b"old"
    remove_litter(tmp_path)
    assert os.listdir(tmp_path) == ["file"]


def test_interrupt_leaves_no_litter(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as patch:
        fail(patch, "fsync", KeyboardInterrupt())
        with pytest.raises(KeyboardInterrupt):
            write_atomic(tmp_path / "file", b"new")
    assert os.listdir(tmp_path) == []


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full on this system")
def test_full_device(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.open
    monkeypatch.setattr(
        os,
        "open",
        lambda path, flags, mode=0o777: real("/dev/full" if flags & os.O_WRONLY else path, flags, mode),
    )
    with pytest.raises(CustodesError, match="no space left on device; free some space"):
        write_atomic(tmp_path / "file", b"new")


@pytest.mark.parametrize("place", ["missing/file", "plain/file", "folder"])
def test_impossible_place(tmp_path: Path, place: str) -> None:
    (tmp_path / "plain").write_bytes(b"")
    (tmp_path / "folder").mkdir()
    for use in (check_writable, lambda path: write_atomic(path, b"new")):
        with pytest.raises(CustodesError, match="cannot write it") as caught:
            use(tmp_path / place)
        assert "\n" not in str(caught.value)
    assert sorted(os.listdir(tmp_path)) == ["folder", "plain"]


@pytest.mark.parametrize("number", [errno.EACCES, errno.EPERM, errno.ENOENT, errno.EISDIR, errno.EIO, errno.ENOSPC])
def test_what_cannot_be_read_need_not_be_writable(number: int) -> None:
    line = str(disk_error(OSError(number, os.strerror(number)), Path("x"), "read"))
    assert line.startswith(f"x: cannot read it: {os.strerror(number).lower()}; ")
    assert "writable" not in line
    assert "free" not in line
    assert "choose" not in line


def test_checking_changes_nothing(tmp_path: Path) -> None:
    (tmp_path / "there").write_bytes(b"old")
    for name in ("there", "new"):
        check_writable(tmp_path / name)
    assert os.listdir(tmp_path) == ["there"]
    assert (tmp_path / "there").read_bytes() == b"old"


def test_litter_of_others_is_kept(tmp_path: Path) -> None:
    for name in ("data.part", ".hidden", ".file.12.part"):
        (tmp_path / name).write_bytes(b"")
    remove_litter(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".hidden", "data.part"]


def test_order_of_the_steps(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen: list[str] = []

    def watch(step: str) -> Callable[..., Any]:
        real = getattr(os, step)

        def watched(*args: Any, **kwargs: Any) -> Any:
            seen.append(step)
            return real(*args, **kwargs)

        return watched

    with monkeypatch.context() as patch:
        for step in (*STEPS, "unlink"):
            patch.setattr(os, step, watch(step))
        write_atomic(tmp_path / "file", b"new")
    assert seen == ["open", "write", "fsync", "close", "replace", "open", "fsync", "close"]
