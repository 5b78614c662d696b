"""Flags that several commands share, so that each is spelled and explained once."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

PresetOption = Annotated[
    str | None, typer.Option("--preset", metavar="NAME", help="Begin from this preset's settings (`data list`).")
]
DataOption = Annotated[
    Path | None,
    typer.Option(
        "--data",
        metavar="PATH",
        help="Recording to read, or the folder that holds the preset's. Without it: where the settings say, then "
        "the folder $CUSTODES_DATA, then ../shared/data.",
    ),
]
SetOption = Annotated[
    list[str] | None,
    typer.Option("--set", metavar="KEY=VALUE", help="Change one setting, such as rl.gamma=0.9; may be repeated."),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object on standard output, nothing else.")]
MaxRejectsOption = Annotated[
    float | None,
    typer.Option("--max-rejects", metavar="SHARE", help="Fail when more than this share of the lines is malformed."),
]
RunArgument = Annotated[Path, typer.Argument(metavar="RUN", help="Folder of a run.", show_default=False)]


def settings(overrides: list[str] | None, *, max_rejects: float | None = None, **values: str | int | None) -> list[str]:
    """Overrides in the order in which they count: `--set` first, then flags that stand for a setting.

    Args:
        overrides: From `--set`.
        max_rejects: From `--max-rejects`; sets data.max_rejects.
        **values: Flags by setting, with `__` for a dot; None for a flag that was not given.

    Returns:
        `key=value` each.
    """
    given = {key.replace("__", "."): value for key, value in values.items() if value is not None}
    if max_rejects is not None:
        given["data.max_rejects"] = str(max_rejects)
    return [*(overrides or ()), *(f"{key}={value}" for key, value in given.items())]
