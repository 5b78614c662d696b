"""`custodes train`."""

from __future__ import annotations

import shlex
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from custodes.cli.codes import INTERRUPTED
from custodes.cli.options import DataOption, MaxRejectsOption, PresetOption, SetOption, settings
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.cli.screen import Screen
    from custodes.train.run_folder import RunFolder


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
) -> None:
    """Train a team on a recording; Ctrl-C leaves a run that `--resume` continues exactly."""
    if resume is not None:
        flags = {"--preset": preset, "--out": out, "--seed": seed, "--specs": specs, "--max-rejects": max_rejects}
        _refuse_with_resume([flag for flag, value in flags.items() if value is not None])
        _continue(resume, data, changes or [])
    else:
        _start(preset, data, out, settings(changes, max_rejects=max_rejects, seed=seed, rules__file=specs))


def _start(preset: str | None, data: Path | None, out: Path | None, overrides: list[str]) -> None:
    """Train from the start."""
    from custodes.cli.locate import find_data
    from custodes.train import presets
    from custodes.train.run_folder import check_new

    config = presets.load_preset(presets.DEFAULT if preset is None else preset, overrides)
    target = Path("runs", f"{config.preset}-seed{config.seed}") if out is None else out
    check_new(target)
    config = replace(config, data=find_data(config.data, data))

    from custodes.cli.screen import Screen
    from custodes.train import loop

    with Screen() as screen:
        run = loop.train(config, target, screen.watcher())
    _finish(run, screen)


def _continue(path: Path, data: Path | None, changes: list[str]) -> None:
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
    screen = Screen()
    try:
        with screen:
            loop.resume(path, screen.watcher())
    except BaseException:
        if changed and not screen.began:
            # Refused before the first iteration, such as for other data: the run is as it was.
            update_config(run, run.config)
        raise
    _finish(run, screen)


def _refuse_with_resume(flags: list[str]) -> None:
    if flags:
        raise CustodesError(f"--resume continues a run as it is; leave out {', '.join(flags)}")


def _finish(run: RunFolder, screen: Screen) -> None:
    """Say where the run is, and how to go on with one that was stopped."""
    from custodes.cli.output import print_line, say

    if screen.interrupted:
        say(f"Stopped. Continue with: custodes train --resume {shlex.quote(str(run.path))}")
        raise typer.Exit(INTERRUPTED)
    print_line(str(run.path))
