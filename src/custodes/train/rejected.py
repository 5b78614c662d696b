"""Malformed lines of a run's recording: they belong into its folder, which is made only after the load."""

from __future__ import annotations

import contextlib
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from custodes.errors import CustodesError
from custodes.train.atomic import write_atomic

REJECTS: Final = "rejects.jsonl"


@contextlib.contextmanager
def rejects_aside(out: Path) -> Iterator[Path]:
    """A file for the malformed lines of a load for which no run folder is there yet.

    It is gone afterwards. Where the body fails, malformed lines are kept as `OUT.rejects.jsonl`, unless something of
    that name exists, and the error's line says where they are.

    Args:
        out: The run folder to be.

    Yields:
        An empty file in the system's temporary folder.

    Raises:
        CustodesError: What the body raised; or there is no temporary folder to write to.
    """
    # Not a folder of its own: os.mkdir may be refused where a file is not.
    try:
        handle, name = tempfile.mkstemp(prefix="custodes-", suffix=f".{REJECTS}")
    except OSError as error:
        raise CustodesError(
            f"cannot write to the temporary folder: {error.strerror}", fix="free space there, or set TMPDIR"
        ) from error
    os.close(handle)
    aside = Path(name)
    try:
        yield aside
    except CustodesError as error:
        told = _keep_beside(aside, out)
        if not told:
            raise
        fix = error.fix.replace(f"see {aside}", told) if f"see {aside}" in error.fix else f"{error.fix} ({told})"
        raise CustodesError(error.what, where=error.where, fix=fix) from error
    finally:
        with contextlib.suppress(OSError):
            aside.unlink()


def move_into_run(aside: Path, run: Path) -> None:
    """Put malformed lines, if there are any, into their run as `rejects.jsonl`.

    Args:
        aside: From `rejects_aside`.
        run: The run folder.

    Raises:
        CustodesError: The disk refused.
    """
    data = aside.read_bytes()
    if data:
        write_atomic(run / REJECTS, data)


def _keep_beside(aside: Path, out: Path) -> str:
    """Keep malformed lines beside a run that was not made; where they are, or why nowhere. Empty without any."""
    kept = out.with_name(f"{out.name}.{REJECTS}")
    try:
        data = aside.read_bytes()
        if not data:
            return ""
        # "x" and no rename: whatever has that name already stays as it is.
        with open(kept, "xb") as file:
            file.write(data)
    except OSError as error:
        return f"the malformed lines were not kept in {kept}: {(error.strerror or str(error)).lower()}"
    return f"see the malformed lines in {kept}"
