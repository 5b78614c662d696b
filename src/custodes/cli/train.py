"""`custodes train`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.cli.codes import DOES_NOT_HOLD, INTERRUPTED
from custodes.cli.options import DataOption, MaxRejectsOption, PresetOption, SetOption, settings
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.cli.screen import Screen
    from custodes.doctor.faults import Fault
    from custodes.doctor.finding import Severity
    from custodes.train.run_folder import RunFolder
    from custodes.train.session import Experiment


class StopOn(StrEnum):
    """How grave a finding must be to stop a training."""

    CRITICAL = "critical"
    WARNING = "warning"


def train(
    preset: PresetOption = None,
    data: DataOption = None,
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="RUN", help="New run folder.  [default: runs/PRESET-seedN]"),
    ] = None,
    seed: Annotated[int | None, typer.Option("--seed", metavar="N", help="Seed of the run.")] = None,
    changes: SetOption = None,
    specs: Annotated[
        str | None,
        typer.Option(
            "--specs", metavar="FILE", help="Hold the team to the rules of this TOML file; default: those shipped."
        ),
    ] = None,
    max_rejects: MaxRejectsOption = None,
    resume: Annotated[
        Path | None, typer.Option("--resume", metavar="RUN", help="Continue this run, to the last bit.")
    ] = None,
    stop_on: Annotated[
        StopOn | None,
        typer.Option("--stop-on", help="Stop with exit code 1 when the doctor finds something as grave; resumable."),
    ] = None,
    inject: Annotated[
        str | None,
        typer.Option("--inject", metavar="NAME", help="Put a known defect in (docs/doctor.md), to see it found."),
    ] = None,
    traitor: Annotated[
        Path | None,
        typer.Option("--traitor", metavar="RUN", help="Train a traitor against this run's team (docs/byzantine.md)."),
    ] = None,
) -> None:
    """Train a team on a recording; Ctrl-C leaves a run that `--resume` continues exactly."""
    if traitor is not None:
        given = {"--preset": preset, "--out": out, "--max-rejects": max_rejects, "--specs": specs, "--resume": resume}
        given |= {"--stop-on": stop_on, "--inject": inject}
        _refuse_with_traitor([flag for flag, value in given.items() if value is not None])
        _betray(traitor, data, changes or [], 0 if seed is None else seed)
    elif resume is not None:
        flags = {"--preset": preset, "--out": out, "--seed": seed, "--specs": specs, "--max-rejects": max_rejects}
        _refuse_with_resume([flag for flag, value in flags.items() if value is not None])
        _continue(resume, data, changes or [], stop_on, inject)
    else:
        overrides = settings(changes, max_rejects=max_rejects, seed=seed, rules__file=specs)
        _start(preset, data, out, overrides, stop_on, inject)


def _start(
    preset: str | None,
    data: Path | None,
    out: Path | None,
    overrides: list[str],
    stop_on: StopOn | None,
    inject: str | None,
) -> None:
    """Train from the start."""
    from custodes.cli.locate import find_data
    from custodes.train import presets
    from custodes.train.run_folder import check_new

    fault = _fault(inject)
    overrides = [*overrides, *(fault.settings if fault is not None else ())]
    config = presets.load_preset(presets.DEFAULT if preset is None else preset, overrides)
    target = Path("runs", f"{config.preset}-seed{config.seed}") if out is None else out
    check_new(target)
    config = replace(config, data=find_data(config.data, data))

    from custodes.cli.screen import Screen
    from custodes.train import loop

    with Screen(_severity(stop_on)) as screen:
        run = loop.train(config, target, screen.watcher(), _experiment(fault))
    _finish(run, screen)


def _fault(name: str | None) -> Fault | None:
    """The defect to put in."""
    if name is None:
        return None
    from custodes.doctor.faults import fault_of

    return fault_of(name)


def _experiment(fault: Fault | None) -> Experiment:
    from custodes.train.session import Experiment

    return Experiment() if fault is None else Experiment(name=fault.name, seams=fault.seams())


def _severity(stop_on: StopOn | None) -> Severity | None:
    return None if stop_on is None else stop_on.value


def _continue(path: Path, data: Path | None, changes: list[str], stop_on: StopOn | None, inject: str | None) -> None:
    """Continue a run; where its recording moved, or its length was changed, its settings are brought up to date."""
    from custodes.cli.locate import find_data
    from custodes.train.config import RunConfig
    from custodes.train.run_folder import open_run, update_config
    from custodes.train.settings import apply_overrides, from_table, to_table

    fixed = [change for change in changes if not change.strip().startswith("train.")]
    if fixed:
        raise CustodesError(
            "a run keeps its settings, only those under train. may change",
            where=f"--set {fixed[0]}",
            fix="leave it out",
        )
    run = open_run(path)
    config = from_table(apply_overrides(to_table(run.config), changes), RunConfig)
    config = replace(config, data=find_data(config.data, data))

    from custodes.cli.screen import Screen
    from custodes.train import loop

    changed = config != run.config
    if changed:
        update_config(run, config)
    screen = Screen(_severity(stop_on))
    try:
        with screen:
            loop.resume(path, screen.watcher(), _experiment(_fault(inject)))
    except BaseException:
        if changed and not screen.began:
            # Refused before the first iteration, such as for other data: the run is as it was.
            update_config(run, run.config)
        raise
    _finish(run, screen)


def _betray(path: Path, data: Path | None, changes: list[str], seed: int) -> None:
    """Train a traitor against the team of a finished run, and keep it there."""
    import torch

    from custodes.cli.locate import find_data
    from custodes.cli.screen import Screen
    from custodes.train import checkpoint
    from custodes.train.loop import check_digest
    from custodes.train.run_folder import open_run
    from custodes.train.scoring import load_team, workload_of
    from custodes.train.traitor import train_traitor
    from custodes.train.traitor_file import traitor_config

    config = traitor_config(changes)
    run = open_run(path)
    torch.set_num_threads(run.config.train.threads)
    located = replace(run, config=replace(run.config, data=find_data(run.config.data, data)))
    workload = workload_of(located)
    check_digest(run, workload)
    team, _ = load_team(located, workload, checkpoint.file_of(run.checkpoints, "best"))
    with Screen() as screen, run.lock():
        file = train_traitor(run, workload, team, config, seed=seed, watcher=screen.watcher())

    from custodes.cli.output import print_line, say

    if file is None:
        say("Stopped; no traitor was kept.")
        raise typer.Exit(INTERRUPTED)
    print_line(str(file))


def _refuse_with_traitor(flags: list[str]) -> None:
    if flags:
        raise CustodesError(f"--traitor trains against a run as it is; leave out {', '.join(flags)}")


def _refuse_with_resume(flags: list[str]) -> None:
    if flags:
        raise CustodesError(f"--resume continues a run as it is; leave out {', '.join(flags)}")


def _finish(run: RunFolder, screen: Screen) -> None:
    """Say where the run is, and how to go on with one that was stopped."""
    from custodes.cli.output import print_line, say

    if screen.stopped_by is not None:
        name, path = screen.stopped_by.name, shlex.quote(str(run.path))
        say(f"Stopped for {name}. Continue with: custodes train --resume {path}")
        raise typer.Exit(DOES_NOT_HOLD)
    if screen.interrupted:
        say(f"Stopped. Continue with: custodes train --resume {shlex.quote(str(run.path))}")
        raise typer.Exit(INTERRUPTED)
    print_line(str(run.path))
