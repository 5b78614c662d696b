"""Files are replaced so that a crash leaves the old or the new one, whole."""

from __future__ import annotations

import os
import stat
from pathlib import Path
from typing import Any

import pytest

from custodes.bft.safety.files import write_aside


def test_a_replaced_file_is_durable_before_and_after_its_rename(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its content before the new name points to it, and the folder before anybody relies on the new name."""
    target = tmp_path / "mark"
    target.write_bytes(b"old")
    steps: list[tuple[str, bytes]] = []
    fsync, replace = os.fsync, os.replace

    def synced(handle: int) -> None:
        fsync(handle)
        kind = "folder" if stat.S_ISDIR(os.fstat(handle).st_mode) else "file"
        steps.append((kind, target.read_bytes()))

    def renamed(*places: Any) -> None:
        replace(*places)
        steps.append(("rename", target.read_bytes()))

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(os, "replace", renamed)
    write_aside(target, b"new")
    assert steps == [("file", b"old"), ("rename", b"new"), ("folder", b"new")]
    assert [path.name for path in tmp_path.iterdir()] == ["mark"]
