"""`custodes doctor`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.cli.options import DataOption, JsonOption
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.doctor import Diagnosis, Signals


def doctor(
    path: Annotated[
        Path | None,
        typer.Argument(
            metavar="RUN",
            help="Folder of a run, or a log of Stable-Baselines3 or CleanRL (event file, CSV, or their folder).",
            show_default=False,
        ),
    ] = None,
    case: Annotated[
        str | None, typer.Option("--case", metavar="NAME", help="Train and diagnose a known case anew: origin.")
    ] = None,
    fix: Annotated[
        str | None, typer.Option("--fix", metavar="NAME", help="With --case: repair the defect of this finding first.")
    ] = None,
    data: DataOption = None,
    table: Annotated[
        bool | None,
        typer.Option("--table/--no-table", help="With --case: train the fixes one on top of the other too (minutes)."),
    ] = None,
    published: Annotated[
        bool, typer.Option("--published", help="With --case: the published network and length (an hour with --table).")
    ] = False,
    as_json: JsonOption = False,
) -> None:
    """Say why a training does not learn: findings with their evidence, root causes first.

    It reads what the run recorded and needs no data. That nothing fires does not mean that the run is healthy: what
    could not be examined is listed.
    """
    from custodes.cli.output import print_json
    from custodes.doctor import diagnose

    if case is not None:
        from custodes.cli.doctor_case import examine_case

        return examine_case(case, path, data, fix, table=table, published=published, as_json=as_json)
    if path is None:
        raise CustodesError("nothing to look at", where="custodes doctor", fix="name a run, or --case origin")
    if fix is not None or data is not None or table is not None or published:
        raise CustodesError("--fix, --data, --table and --published need --case", fix="leave them out")
    signals = _signals(path)
    diagnosis = diagnose(signals)
    if as_json:
        print_json(diagnosis.to_json())
    else:
        show(diagnosis, signals)
    return None


def _signals(path: Path) -> Signals:
    """What the run recorded; where it kept no record, what its settings say."""
    from custodes.doctor import Facts
    from custodes.doctor.foreign import is_foreign
    from custodes.doctor.read import read_run
    from custodes.train.diagnostics import facts_of_config
    from custodes.train.run_folder import open_run

    if is_foreign(path):
        return _foreign(path)
    known = facts_of_config(open_run(path).config)
    table = known["reward_table"]
    known["reward_table"] = None if table is None else tuple(tuple(row) for row in table)
    return read_run(path, Facts(**known))


def _foreign(path: Path) -> Signals:
    """What another trainer's log holds."""
    from custodes.cli.output import say
    from custodes.doctor.foreign import read_foreign

    run = read_foreign(path)
    say(f"A log of {run.trainer}: {len(run.signals)} iterations.")
    if run.unknown:
        say(f"Not understood here: {', '.join(run.unknown)}.")
    for note in run.notes:
        say(f"Note: {note}.")
    return run.signals


def show(diagnosis: Diagnosis, signals: Signals) -> None:
    """Print a diagnosis for people."""
    from custodes.cli.output import cell, print_line

    folded = {finding.name: finding for finding in diagnosis.folded}
    for finding in diagnosis.findings:
        since = f"from iteration {finding.iteration}" if finding.iteration else "before the first iteration"
        print_line(f"{finding.severity}: {finding.name} ({since})")
        print_line(f"  {finding.cause}.")
        for part in finding.evidence:
            value = ", ".join(map(cell, part.value)) if isinstance(part.value, tuple) else _number(part.value)
            print_line(f"  {part.metric}: {value}; expected {part.expectation} ({part.source})")
        print_line(f"  Change: {finding.change}.")
        for name in finding.explains:
            print_line(f"  It explains {name} (from iteration {folded[name].iteration}).")
    if not diagnosis.findings:
        print_line(f"Nothing fired over {len(signals)} iterations. That is no proof of health.")
    print_line(f"{len(diagnosis.examined)} detectors looked.")
    for left in diagnosis.not_examined:
        print_line(f"Not examined: {left.name} ({', '.join(left.findings)}), for want of {', '.join(left.missing)}.")


def _number(value: object) -> str:
    """A value of evidence; small numbers keep their digits."""
    from custodes.cli.output import cell

    return f"{value:.3g}" if isinstance(value, float) else cell(value)
