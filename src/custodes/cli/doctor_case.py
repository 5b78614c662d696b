"""`custodes doctor --case`: a known case, trained anew and diagnosed."""

from __future__ import annotations

import os
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.doctor.origin import Case, OriginSettings, Row

CASES: Final = ("origin",)
HEADS: Final = ("", "value loss", "expl. var.", "|ratio-1| least", "most", "entropy", "TP", "FP", "FN", "F1")


def examine_case(
    case: str,
    path: Path | None,
    data: Path | None,
    fix: str | None,
    *,
    table: bool | None,
    published: bool,
    as_json: bool,
) -> None:
    """Train a case, print what the doctor says, and what each fix buys.

    Args:
        case: Its name.
        path: A run that was named beside it, which is refused.
        data: The recording, or the folder that holds it; None to look for it.
        fix: Defect to repair; None for none.
        table: Train the fixes one on top of the other too; None where people read it and nothing is repaired.
        published: The published sizes.
        as_json: Print one JSON object.
    """
    import torch

    from custodes.cli.locate import find_data
    from custodes.cli.output import print_json, say
    from custodes.data.config import DataConfig
    from custodes.doctor.origin import PUBLISHED, RECORDING, TABLE, OriginSettings, Repairs, examine, read_recording

    if case not in CASES:
        raise CustodesError(f"no case {case!r}", where="--case", fix=f"choose {' or '.join(CASES)}")
    if path is not None:
        raise CustodesError("a run and --case exclude each other", where=str(path), fix="leave one out")
    repairs = Repairs.of([] if fix is None else [fix])
    found = find_data(DataConfig(path=RECORDING, source="trace"), data).path
    torch.set_num_threads(1)
    recording = read_recording(found)
    settings = PUBLISHED if published else OriginSettings()
    say(f"Training the original on {recording.name}: {settings.iterations} iterations of {settings.rollout:,} records.")
    done = examine(recording, settings, repairs)
    wanted = table if table is not None else not as_json and fix is None
    if not as_json:
        _show(done, settings, fix)
    rows = _table(found, PUBLISHED if published else TABLE, as_json=as_json) if wanted else ()
    if as_json:
        print_json(_json(done, fix, rows))


def _json(done: Case, fix: str | None, rows: tuple[Row, ...]) -> dict[str, Any]:
    from custodes.doctor.origin import row_of

    training = asdict(row_of("with all defects" if fix is None else f"without {fix}", done.iterations))
    told: dict[str, Any] = {**done.diagnosis.to_json(), "training": training}
    return told | ({"table": [asdict(row) for row in rows]} if rows else {})


def _show(done: Case, settings: OriginSettings, fix: str | None) -> None:
    """Print the training and the diagnosis."""
    from custodes.cli.doctor import show
    from custodes.cli.output import print_line, print_table
    from custodes.doctor.origin import row_of

    name = "as published" if fix is None else f"{fix} repaired"
    title = f"The original after {settings.iterations} iterations of {settings.rollout:,} records, seed {settings.seed}"
    print_table(title, HEADS, [_cells(row_of(name, done.iterations))])
    print_line("")
    show(done.diagnosis, done.signals)


def _table(path: str, settings: OriginSettings, *, as_json: bool) -> tuple[Row, ...]:
    """Train and print the fixes, each on top of the last."""
    from custodes.cli.output import print_line, print_table, say
    from custodes.doctor.origin import VARIANTS, run_variants

    say(f"Training {len(VARIANTS)} variants, {settings.iterations} iterations each, two at a time.")
    rows = run_variants(path, settings, jobs=min(2, os.cpu_count() or 1), watch=lambda row: say(f"  {row.name}"))
    if not as_json:
        print_line("")
        print_table(f"What each fix buys, after {settings.iterations} iterations", HEADS, map(_cells, rows))
    return rows


def _cells(row: Row) -> tuple[object, ...]:
    return tuple(asdict(row).values())
