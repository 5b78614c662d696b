"""`custodes report`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.cli.options import DataOption, JsonOption, RunArgument

if TYPE_CHECKING:
    from custodes.train.run_folder import RunFolder


def report(
    path: RunArgument,
    timeline: Annotated[
        bool,
        typer.Option(
            "--timeline", help="First let the team observe the test part live, and keep one attack for a picture."
        ),
    ] = False,
    data: DataOption = None,
    as_json: JsonOption = False,
) -> None:
    """Write RUN/report.html, one self-contained page about a run."""
    from custodes.cli.output import print_json, print_line
    from custodes.report import write_report
    from custodes.train.run_folder import open_run

    run = open_run(path)
    if timeline:
        _keep_timeline(run, data)
    page = write_report(run.path)
    if as_json:
        print_json({"report": str(page)})
    else:
        print_line(f"Written to {page}")


def _keep_timeline(run: RunFolder, data: Path | None) -> None:
    """Write `timeline-test.json` into the run."""
    from dataclasses import replace

    import torch

    from custodes.cli.locate import find_data
    from custodes.cli.output import say
    from custodes.data.features.online import Limits
    from custodes.errors import CustodesError
    from custodes.evaluate.response.timeline import encode_timeline
    from custodes.serve import Team
    from custodes.serve.timeline import timeline_of
    from custodes.train.atomic import write_atomic
    from custodes.train.loop import check_digest
    from custodes.train.scoring import workload_of

    if run.config.env.task != "response":
        raise CustodesError(
            "a timeline shows an attack being contained, and this run does not act",
            where=str(run.path),
            fix="leave out --timeline, or train with env.task=response",
        )
    torch.set_num_threads(1)
    located = replace(run, config=replace(run.config, data=find_data(run.config.data, data)))
    workload = workload_of(located)
    check_digest(run, workload)
    # Nobody is forgotten: the picture is of what the team does, not of what a small memory does.
    limits = Limits(entities=max(2 * len(workload.dataset), 2), objects=max(len(workload.dataset), 1))
    found = timeline_of(Team.load(run.path, limits=limits), workload)
    if found is None:
        say("Note: the test part holds no malicious event, so there is no timeline.")
        return
    write_atomic(run.path / "timeline-test.json", encode_timeline(found))
