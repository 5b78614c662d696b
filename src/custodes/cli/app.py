"""The program's commands. Importing this must stay cheap: commands import what they need when they run."""

from __future__ import annotations

from typing import Annotated

import typer

import custodes
from custodes.cli import bft, data, doctor, evaluate, report, score, stl, train

app = typer.Typer(
    name="custodes",
    help="Teams of learned defenders that watch hosts, obey temporal rules and stay right when some of them lie.",
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"custodes {custodes.__version__}")
        raise typer.Exit


@app.callback(invoke_without_command=True)
def _root(
    context: typer.Context,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and stop.")
    ] = False,
) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("train")(train.train)
app.command("evaluate")(evaluate.evaluate)
app.command("doctor")(doctor.doctor)
app.command("score")(score.score)
app.command("report")(report.report)
app.add_typer(data.app, name="data")
app.add_typer(stl.app, name="stl")
app.add_typer(bft.app, name="bft")
