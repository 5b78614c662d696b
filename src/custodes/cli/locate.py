"""Where the recordings are: the one place that knows the order of search."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path
from typing import Final

from custodes.data.config import DataConfig
from custodes.errors import CustodesError

VARIABLE: Final = "CUSTODES_DATA"
"""Environment variable that names the folder of recordings."""
BESIDE: Final = Path("..", "shared", "data")
"""Folder of recordings beside a checkout, looked into last."""


def find_data(config: DataConfig, given: Path | None) -> DataConfig:
    """Turn the file names in the settings into paths of files that are there.

    Searched in this order: `--data` alone where it was given; the path in the settings as it stands; the folder
    `$CUSTODES_DATA` alone where it is set, else `../shared/data` below the working directory.

    Args:
        config: Settings of the data.
        given: The `--data` flag, a file or a folder; None without one.

    Returns:
        The settings with absolute paths; unchanged for source `synthetic` without `--data`.

    Raises:
        CustodesError: No such file; the message lists where it was looked for.
    """
    if given is None:
        if config.source == "synthetic":
            return config
        path = _search(config.path)
    else:
        path = _given(config.path, given)
    # The official test file lies beside the training file wherever that was found.
    test = _beside(config.test_path, path) if config.test_path else ""
    source = "auto" if config.source == "synthetic" else config.source
    return replace(config, path=str(path), test_path=test, source=source)


def known_place(name: str) -> Path | None:
    """Where a recording lies.

    Args:
        name: File name or path, from a preset.

    Returns:
        Its absolute path, or None where the search finds nothing.
    """
    return next((place.resolve() for place in _places(name) if place.exists()), None)


def _given(name: str, given: Path) -> Path:
    if not given.exists():
        raise CustodesError("no such file", where=f"--data {given}", fix="give the path of a recording")
    if not given.is_dir():
        return given.resolve()
    if not name:
        raise CustodesError("this is a folder", where=f"--data {given}", fix="give one file in it, or a --preset")
    path = given / Path(name).name
    if not path.is_file():
        raise CustodesError(f"no {path.name} in this folder", where=f"--data {given}", fix="give the file itself")
    return path.resolve()


def _search(name: str) -> Path:
    if not name:
        raise CustodesError("no recording was named", where="data.path", fix="give one with --data PATH, or a --preset")
    found = known_place(name)
    if found is None:
        places = ", ".join(str(place) for place in _places(name))
        raise CustodesError(
            f"no recording {Path(name).name} (looked for {places})",
            where="data.path",
            fix=f"give it with --data PATH, or name its folder in {VARIABLE}",
        )
    if found.is_dir():
        raise CustodesError("this is a folder, not a recording", where=str(found), fix="give a file with --data PATH")
    return found


def _places(name: str) -> tuple[Path, ...]:
    """Paths to try, in order."""
    folder = os.environ.get(VARIABLE)
    return Path(name), (Path(folder) if folder else BESIDE) / Path(name).name


def _beside(name: str, path: Path) -> str:
    own = Path(name)
    test = own if own.is_absolute() and own.is_file() else path.parent / own.name
    if not test.is_file():
        raise CustodesError(
            f"no test recording {own.name} beside it", where=str(path), fix="put it there, or set data.test_path="
        )
    return str(test.resolve())
