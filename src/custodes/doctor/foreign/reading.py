"""Finding and reading the log of another trainer."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from custodes.doctor.foreign.aligning import ForeignRun, align
from custodes.doctor.foreign.csvlog import read_csv_log
from custodes.doctor.foreign.eventfile import PATTERN, read_event_files
from custodes.doctor.foreign.record import RECORD, read_record
from custodes.errors import CustodesError

TABLES: Final = ("progress.csv",)
"""Names of tables that trainers write into their folder."""


def is_foreign(path: Path) -> bool:
    """Whether a path looks like another trainer's log, and is no run folder of custodes."""
    if path.is_dir():
        return not (path / "config.toml").exists() and bool(_logs(path) or _runs(path))
    return path.is_file() and (path.suffix.lower() in (".csv", ".jsonl") or "tfevents" in path.name)


def read_foreign(path: Path) -> ForeignRun:
    """Read a log.

    Args:
        path: An event file, a CSV file, a record of `custodes.doctor.sb3`, or a folder that holds one of them (or one
            folder that does). In a folder the record comes before event files, and these before a CSV.

    Raises:
        CustodesError: Nothing there, more than one run, or a log that cannot be understood.
    """
    if not path.exists():
        raise CustodesError("no such file or folder", where=str(path), fix="name a log or its folder")
    if path.is_dir():
        return _read(_logs(path) or _logs(_only_run(path)))
    return _read([path])


def _read(logs: list[Path]) -> ForeignRun:
    first = logs[0]
    if first.suffix.lower() == ".jsonl":
        return read_record(first)
    if "tfevents" in first.name:
        return align(read_event_files(logs), str(first.parent if len(logs) > 1 else first))
    if first.suffix.lower() == ".csv":
        return align(read_csv_log(first), str(first))
    raise CustodesError(
        "no log that is read here", where=str(first), fix="name an event file (*tfevents*), a .csv or a folder"
    )


def _logs(folder: Path) -> list[Path]:
    """The logs of the best kind in a folder, event files in the order in which they were begun."""
    if (folder / RECORD).is_file():
        return [folder / RECORD]
    # Their names hold the second in which they were begun.
    if found := sorted(path for path in folder.glob(PATTERN) if path.is_file()):
        return found
    return [folder / name for name in TABLES if (folder / name).is_file()]


def _runs(folder: Path) -> list[Path]:
    """Folders in a folder that hold logs."""
    return sorted(inner for inner in folder.iterdir() if inner.is_dir() and _logs(inner))


def _only_run(folder: Path) -> Path:
    runs = _runs(folder)
    if len(runs) == 1:
        return runs[0]
    if not runs:
        raise CustodesError(
            "no log in this folder",
            where=str(folder),
            fix=f"{RECORD}, event files (*tfevents*) or {TABLES[0]} are looked for, here and one folder down",
        )
    names = ", ".join(run.name for run in runs[:6])
    raise CustodesError(f"{len(runs)} runs in this folder", where=str(folder), fix=f"name one of them: {names}")
