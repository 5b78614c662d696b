"""A run is a folder: settings, metrics, checkpoints and results, all plain files. See docs/run-folder.md."""

from __future__ import annotations

import contextlib
import errno
import importlib.metadata
import json
import os
import platform
import shutil
import sys
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Final

import custodes
from custodes.errors import CustodesError
from custodes.train.atomic import disk_error, flush_folder, remove_litter, write_atomic
from custodes.train.config import RunConfig
from custodes.train.jsontext import json_line
from custodes.train.settings import from_table, parse_toml, to_table, to_toml

if sys.platform == "win32":
    import msvcrt
else:
    import fcntl

FORMAT: Final = 1
"""Version of the folder's layout; a folder of another version is refused by name."""
CONFIG: Final = "config.toml"
METRICS: Final = "metrics.jsonl"
CHECKPOINTS: Final = "checkpoints"
LOCK: Final = "lock"


@dataclass(frozen=True, kw_only=True)
class RunFolder:
    """One run on disk. Made by `create` or `open_run`."""

    path: Path
    """The folder."""
    config: RunConfig
    """Its settings, complete."""
    digest: str
    """Digest of the data that it trains on (`Dataset.digest`)."""
    versions: Mapping[str, str | int]
    """Versions of the programs that created it, and `format`."""
    encoder: str = ""
    """SHA-256 of its `encoder.json` in hexadecimal; empty where the run does not say."""

    @property
    def checkpoints(self) -> Path:
        """Folder of the checkpoints."""
        return self.path / CHECKPOINTS

    @property
    def metrics_path(self) -> Path:
        """One JSON object per iteration and line."""
        return self.path / METRICS

    def evaluation_path(self, split: str, *, shielded: bool = False) -> Path:
        """Where the results on a split ("train", "validation" or "test") go; those under a shield lie beside."""
        return self.path / f"evaluation-{split}{'-shielded' if shielded else ''}.json"

    def write_evaluation(self, split: str, data: bytes, *, shielded: bool = False) -> Path:
        """Write the results on a split, replacing earlier ones all or nothing.

        Args:
            split: "train", "validation" or "test".
            data: What `custodes.evaluate.encode_evaluation` made.
            shielded: They are of the team under a shield.

        Returns:
            The file.

        Raises:
            CustodesError: The disk refused; earlier results are intact.
        """
        path = self.evaluation_path(split, shielded=shielded)
        write_atomic(path, data)
        return path

    def append_metrics(self, line: Mapping[str, Any]) -> None:
        """Add an iteration's line, durably.

        Args:
            line: JSON values with key `iteration`; NaN becomes null, infinities "inf" and "-inf".

        Raises:
            CustodesError: The disk refused.
        """
        data = (json_line(line) + "\n").encode()
        try:
            with open(self.metrics_path, "ab") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
        except OSError as error:
            raise disk_error(error, self.metrics_path, "write") from error

    def keep_metrics(self, iteration: int) -> None:
        """Drop the lines after a checkpoint's iteration, and one that a crash cut: a resumed run writes them again.

        Args:
            iteration: The last iteration to keep.

        Raises:
            CustodesError: The disk refused, or a line is damaged.
        """
        if self.metrics_path.exists():
            kept = [raw for line, raw in self._metric_lines() if line.get("iteration", 0) <= iteration]
            write_atomic(self.metrics_path, b"".join(kept))

    @contextlib.contextmanager
    def lock(self) -> Iterator[None]:
        """Hold the run for writing, so that two processes never train it at once.

        The system drops the lock when the process ends, however it ends, so a killed run is free at once.

        Raises:
            CustodesError: Another process holds it, or the disk refused.
        """
        path = self.path / LOCK
        try:
            handle = os.open(path, os.O_RDWR | os.O_CREAT, 0o666)
        except OSError as error:
            raise disk_error(error, path, "write") from error
        try:
            _lock_or_refuse(handle, self.path)
            remove_litter(self.path)
            remove_litter(self.checkpoints)
            yield
        finally:
            os.close(handle)

    def _metric_lines(self) -> list[tuple[dict[str, Any], bytes]]:
        """Each whole line, parsed and as it stands."""
        try:
            data = self.metrics_path.read_bytes() if self.metrics_path.exists() else b""
        except OSError as error:
            raise disk_error(error, self.metrics_path, "read") from error
        whole, _, _ = data.rpartition(b"\n")
        lines: list[tuple[dict[str, Any], bytes]] = []
        for number, raw in enumerate(whole.split(b"\n") if whole else (), start=1):
            try:
                line = json.loads(raw)
            except ValueError:
                line = None
            if not isinstance(line, dict):
                raise CustodesError(
                    "this line is no JSON object",
                    where=f"{self.metrics_path}, line {number}",
                    fix="remove the line, or restore the file from a backup",
                )
            lines.append((line, raw + b"\n"))
        return lines


def create_run(path: Path, config: RunConfig, digest: str, *, encoder: str = "") -> RunFolder:
    """Start a run folder.

    Args:
        path: The new folder; may exist if it is empty. Its parents are made.
        config: The settings.
        digest: `Dataset.digest` of the data.
        encoder: `encoder_digest` of what `encoder.json` will hold.

    Returns:
        The folder, with `config.toml` and an empty `checkpoints`.

    Raises:
        CustodesError: The path holds something already, which is left as it is, or the disk refused.
    """
    check_new(path)
    made = not path.exists()
    run = RunFolder(path=path, config=config, digest=digest, versions=current_versions(), encoder=encoder)
    try:
        path.mkdir(parents=True, exist_ok=True)
        (path / CHECKPOINTS).mkdir()
        write_atomic(path / CONFIG, _config_text(run))
        flush_folder(path.parent)
    except OSError as error:
        _undo(path, made)
        raise disk_error(error, path, "create") from error
    except CustodesError:
        _undo(path, made)
        raise
    return run


def _undo(path: Path, made: bool) -> None:
    """Take back a folder that could not be completed; it held nothing before."""
    with contextlib.suppress(OSError):
        (path / CONFIG).unlink(missing_ok=True)
        shutil.rmtree(path / CHECKPOINTS, ignore_errors=True)
        if made:
            path.rmdir()


def check_new(path: Path) -> None:
    """Refuse a path that a new run cannot take; cheap, so call it before the data is read.

    Args:
        path: The folder of a new run.

    Raises:
        CustodesError: It holds something already, is a file, lies below a file, or cannot be looked at.
    """
    try:
        taken = path.exists() and (not path.is_dir() or any(path.iterdir()))
        above = next((parent for parent in path.absolute().parents if parent.exists()), None)
    except OSError as error:
        raise disk_error(error, path, "create") from error
    if taken:
        resume = (path / CONFIG).is_file()
        fix = f"choose another --out, or continue it with --resume {path}" if resume else "choose another --out"
        raise CustodesError("the folder exists and is not empty", where=str(path), fix=fix)
    if above is not None and not above.is_dir():
        raise CustodesError(f"cannot create it: {above} is not a folder", where=str(path), fix="choose another --out")


def open_run(path: Path) -> RunFolder:
    """Open an existing run.

    Args:
        path: Its folder.

    Returns:
        The run, its settings checked.

    Raises:
        CustodesError: No run, one of another format version, or settings that do not fit.
    """
    file = path / CONFIG
    if not file.is_file():
        raise CustodesError(
            f"no run here: it has no {CONFIG}", where=str(path), fix="give the folder that `custodes train` made"
        )
    try:
        text = file.read_text(encoding="utf-8")
    except UnicodeDecodeError as error:
        raise CustodesError("not valid UTF-8", where=str(file), fix="restore it from a backup") from error
    except OSError as error:
        raise disk_error(error, file, "read") from error
    table = parse_toml(text, str(file))
    versions, dataset = table.pop("versions", None), table.pop("dataset", None)
    if not isinstance(versions, dict) or not isinstance(dataset, dict) or not isinstance(dataset.get("digest"), str):
        raise CustodesError("no [versions] or no [dataset]", where=str(file), fix="restore it from a backup")
    if versions.get("format") != FORMAT:
        raise CustodesError(
            f"this run has format {versions.get('format')} (custodes {versions.get('custodes')}), "
            f"this program reads format {FORMAT} (custodes {custodes.__version__})",
            where=str(path),
            fix="use the version of custodes that made it, or train anew",
        )
    config = from_table(table, RunConfig, where=str(file))
    return RunFolder(
        path=path,
        config=config,
        digest=dataset["digest"],
        versions=versions,
        encoder=str(dataset.get("encoder", "")),
    )


def update_config(run: RunFolder, config: RunConfig) -> RunFolder:
    """Change what a run may change while it is resumed: where its data lies, how long it trains, on what device.

    Args:
        run: The run; nobody may be training it.
        config: The new settings.

    Returns:
        The run with them.

    Raises:
        CustodesError: Another process is training it, or the disk refused; the old settings are intact.
    """
    changed = replace(run, config=config)
    with run.lock():
        write_atomic(run.path / CONFIG, _config_text(changed))
    return changed


def current_versions() -> dict[str, str | int]:
    """The versions that decide what a run computes, and the folder's format."""
    packages = {name: importlib.metadata.version(name) for name in ("torch", "numpy", "polars")}
    return {"format": FORMAT, "custodes": custodes.__version__, "python": platform.python_version(), **packages}


def _config_text(run: RunFolder) -> bytes:
    """The content of `config.toml`."""
    dataset = {"digest": run.digest, "encoder": run.encoder}
    return to_toml({**to_table(run.config), "dataset": dataset, "versions": dict(run.versions)}).encode()


def _lock_or_refuse(handle: int, path: Path) -> None:
    """Take the lock without waiting, and leave the owner's process id in the file for people to read."""
    try:
        if sys.platform == "win32":
            # Byte 0 alone is locked, and a locked byte cannot be read there, so no process id is left.
            msvcrt.locking(handle, msvcrt.LK_NBLCK, 1)
            return
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno == errno.ENOLCK:
            return  # A network file system without locks: training there must still work.
        raise CustodesError(
            "another process is training this run", where=str(path), fix="wait for it, or stop it first"
        ) from error
    os.ftruncate(handle, 0)
    os.write(handle, f"{os.getpid()}\n".encode())
