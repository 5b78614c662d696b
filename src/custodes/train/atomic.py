"""Write a file so that a reader sees the old content or the new one, never a part, whatever happens in between.

The order is the one that POSIX file systems need (Pillai et al. 2014, "All file systems are not created equal"): write
aside in the same folder, flush to the disk, rename over the old file, flush the folder, which holds the new name.
"""

from __future__ import annotations

import contextlib
import errno
import os
from pathlib import Path

from custodes.errors import CustodesError

ASIDE_SUFFIX = ".part"
"""How the file written aside ends; one that a killed process left is never read and may be deleted."""

_FIXES = {
    errno.ENOSPC: "free some space there, or choose another folder",
    errno.EDQUOT: "free some of your quota there, or choose another folder",
    errno.EACCES: "make the folder writable, or choose another one",
    errno.EPERM: "make the folder writable, or choose another one",
    errno.EROFS: "choose a folder that is not mounted read-only",
    errno.ENOTDIR: "choose a path whose parents are folders, not files",
    errno.EISDIR: "choose a path that is not a folder",
    errno.ENOENT: "create the folder first, or choose another one",
}
_FIXES_OF_READING = {
    errno.EACCES: "make it readable for you, or restore it from a backup",
    errno.EPERM: "make it readable for you, or restore it from a backup",
    errno.EISDIR: "a file is needed there, not a folder",
    errno.ENOENT: "check the path, or restore it from a backup",
}


def disk_error(error: OSError, path: Path, doing: str) -> CustodesError:
    """Turn an operating-system error into the line that a user sees.

    Args:
        error: What the system said.
        path: The file or folder that was worked on.
        doing: The verb: "write", "read", "create".

    Returns:
        The error to raise, with what to do about the usual causes (full disk, permission, read-only, wrong kind).
    """
    reason = (error.strerror or str(error) or type(error).__name__).lower()
    fixes = _FIXES_OF_READING if doing == "read" else _FIXES
    return CustodesError(
        f"cannot {doing} it: {reason}",
        where=str(path),
        fix=fixes.get(error.errno or 0, "check the disk and the path, then try again"),
    )


def write_atomic(path: Path, data: bytes) -> None:
    """Replace the content of `path`, all or nothing, and durably: once it returns, a power cut keeps the new content.

    Args:
        path: Where to; its folder must exist.
        data: The whole new content.

    Raises:
        CustodesError: The system refused (full disk, no permission). The old file is then intact. Only if the very last
            step, flushing the folder, fails, the new content is in place but a power cut may bring the old one back.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE_SUFFIX}")
    try:
        try:
            _write_through(aside, data)
            os.replace(aside, path)
        except BaseException:
            # Also on Ctrl-C: an aside file is of no use to anybody.
            with contextlib.suppress(OSError):
                os.unlink(aside)
            raise
        flush_folder(path.parent)
    except OSError as error:
        raise disk_error(error, path, "write") from error


def check_writable(path: Path) -> None:
    """Refuse a file that `write_atomic` could not write; cheap, so call it before the work whose result it takes.

    Args:
        path: Where the result will go; what is there stays as it is.

    Raises:
        CustodesError: It is a folder, its folder is missing, or the system refuses a file there.
    """
    aside = path.with_name(f".{path.name}.{os.getpid()}{ASIDE_SUFFIX}")
    try:
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR))
        os.close(os.open(aside, os.O_WRONLY | os.O_CREAT, 0o666))
        os.unlink(aside)
    except OSError as error:
        raise disk_error(error, path, "write") from error


def flush_folder(folder: Path) -> None:
    """Make names created, renamed or removed in a folder survive a power cut.

    Args:
        folder: An existing folder.

    Raises:
        OSError: The system refused.
    """
    if os.name == "nt":  # pragma: no cover - Windows has no folder handles; its renames are journalled
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def remove_litter(folder: Path) -> None:
    """Delete what writers killed half-way left aside. Call it only where nobody else writes (under the run's lock).

    Args:
        folder: The folder to clean; files that are not asides are left alone.
    """
    for aside in folder.glob(f".*{ASIDE_SUFFIX}"):
        with contextlib.suppress(OSError):
            aside.unlink()


def _write_through(path: Path, data: bytes) -> None:
    """Write a new file to the disk itself, not only to the system's cache."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | getattr(os, "O_BINARY", 0), 0o666)
    try:
        rest = memoryview(data)
        while rest:
            rest = rest[os.write(handle, rest) :]
        os.fsync(handle)
    finally:
        os.close(handle)
