"""`custodes bft`: agreement that holds although some of the defenders lie. Loads no torch."""

from __future__ import annotations

import typer

from custodes.cli import bft_cluster, bft_keys, bft_simulate

app = typer.Typer(help="Simulate, run and measure the agreement of a team, make its keys, check what it signed.")


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


app.command("simulate")(bft_simulate.simulate)
app.command("keygen")(bft_keys.keygen)
app.command("verify")(bft_keys.verify)
app.command("run")(bft_cluster.run)
app.command("local")(bft_cluster.local)
app.command("bench")(bft_cluster.bench)
app.command("certificate")(bft_cluster.certificate)
