"""What commands print: tables for people, one JSON object for programs."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from rich.console import Console
from rich.table import Table

from custodes.train.jsontext import json_line


def print_json(value: Mapping[str, Any]) -> None:
    """Print one JSON object on standard output, on one line.

    Args:
        value: As for `custodes.train.jsontext.json_value`.
    """
    sys.stdout.write(json_line(value) + "\n")


def print_table(title: str, columns: Sequence[str], rows: Iterable[Sequence[object]], *, names: int = 1) -> None:
    """Print a table on standard output.

    Args:
        title: Line above it.
        columns: Names.
        rows: A cell per column each; see `cell`.
        names: How many columns, from the left, hold text; the others hold numbers and stand to the right.
    """
    table = Table(box=None, pad_edge=False, header_style="bold", show_header=any(columns))
    for index, name in enumerate(columns):
        table.add_column(name, justify="right" if index >= names else "left", overflow="fold", no_wrap=index == 0)
    for row in rows:
        table.add_row(*(cell(value) for value in row))
    print_line(title)
    _console().print(table)


def print_line(line: str) -> None:
    """Print a line on standard output, never broken or coloured."""
    _console().print(line, markup=False, highlight=False, soft_wrap=True)


def say(line: str) -> None:
    """Print a line for people on standard error, which `--json` leaves to them."""
    Console(stderr=True).print(line, markup=False, highlight=False, soft_wrap=True)


def cell(value: object) -> str:
    """A value as people read it: thousands apart, three digits after the point, a dash for nothing."""
    if value is None:
        return "-"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float):
        return f"{value:.3f}"
    return str(value).replace("[", "\\[")


def percent(share: float | None) -> str:
    """A share with two digits, or a dash."""
    return "-" if share is None else f"{share:.2%}"


class _Output(Console):
    """Standard output. Rich ends the program by itself when the reader went away; here `custodes.cli.entry` does."""

    def on_broken_pipe(self) -> None:
        """Let the error go on its way."""
        raise BrokenPipeError


def _console() -> Console:
    # Made anew each time: it looks up standard output when it is made, and that may be replaced (tests, pipes).
    return _Output(highlight=False)
