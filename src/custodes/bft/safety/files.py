"""File operations that survive a power cut."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make creations, renames and removals in a folder durable."""
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def write_aside(path: Path, data: bytes) -> None:
    """Create or replace a file durably: after a crash it holds all of the old or all of the new content."""
    aside = path.with_name(path.name + ".tmp")
    handle = os.open(aside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, 0o600)
    try:
        write_all(handle, data, 0)
        os.fsync(handle)
    finally:
        os.close(handle)
    os.replace(aside, path)
    sync_folder(path.parent)


def write_all(handle: int, data: bytes | memoryview, at: int) -> None:
    """Write all bytes at an offset."""
    view = memoryview(data)
    while view:
        done = os.pwrite(handle, view, at)
        view, at = view[done:], at + done


def make_room(handle: int, at: int, count: int) -> None:
    """Make a file longer by zeros, at its end."""
    if hasattr(os, "posix_fallocate"):
        os.posix_fallocate(handle, at, count)
    else:
        os.ftruncate(handle, at + count)


def boot_id() -> bytes:
    """Which start of this machine's kernel this is (16 bytes); zeros where the system does not say."""
    with contextlib.suppress(OSError, ValueError):
        return bytes.fromhex(Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", ""))
    return bytes(16)
