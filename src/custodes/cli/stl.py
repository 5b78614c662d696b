"""`custodes stl`: check rules, monitor traces, say why one is violated, measure speed."""

from __future__ import annotations

from enum import StrEnum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from custodes.cli.codes import DOES_NOT_HOLD
from custodes.cli.options import JsonOption
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.stl.policy import End

app = typer.Typer(help="Check temporal rules, monitor traces and streams with them, and say why one is violated.")


class EndPolicy(StrEnum):
    """What lies after the last sample."""

    TRUNCATE = "truncate"
    PESSIMISTIC = "pessimistic"
    HOLD = "hold"
    INTERVAL = "interval"


SpecArgument = Annotated[
    str,
    typer.Argument(
        metavar="SPEC",
        help="TOML file of rules; 'default' for the shipped ones, 'library:NAME' for one of them.",
        show_default=False,
    ),
]
DataArgument = Annotated[
    str,
    typer.Argument(
        metavar="DATA",
        help="CSV, Parquet or JSON-lines file with a column per signal; '-' for JSON lines from standard input.",
        show_default=False,
    ),
]
NamesOption = Annotated[
    list[str] | None, typer.Option("--spec", metavar="NAME", help="Only this rule; may be repeated.")
]
EndOption = Annotated[
    EndPolicy | None,
    typer.Option("--end", help="What lies after the last sample. Without it: as the file of rules says."),
]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("check")
def check(spec: SpecArgument, names: NamesOption = None, as_json: JsonOption = False) -> None:
    """Read rules, and print how far each looks ahead and which signals it reads."""
    from custodes.cli.output import print_json, print_table
    from custodes.cli.stl_load import counted, load_rules, refusals
    from custodes.stl.facts import spec_facts

    with refusals():
        rows = [spec_facts(each) for each in load_rules(spec, names).specs]
    if as_json:
        print_json({"specs": rows})
        return
    shown = ((row["name"], row["severity"], row["formula"], ", ".join(row["signals"]), _reach(row)) for row in rows)
    print_table(
        f"{spec}: {counted(len(rows), 'rule')}", ("rule", "severity", "formula", "signals", "ahead"), shown, names=4
    )


@app.command("monitor")
def monitor(
    spec: SpecArgument,
    data: DataArgument,
    end: EndOption = None,
    follow: Annotated[
        bool,
        typer.Option(
            "--follow", help="Line by line, a JSON line out as soon as something is decided (tail -f FILE | ... -)."
        ),
    ] = False,
    names: NamesOption = None,
    as_json: JsonOption = False,
) -> None:
    """Check a trace against rules; exit 1 when one is violated at the first sample."""
    from custodes.cli.output import print_json
    from custodes.cli.stl_follow import follow as follow_stream
    from custodes.cli.stl_load import load_case, load_rules, refusals
    from custodes.cli.stl_whole import evaluate_case, note_short_traces, show_results

    with refusals():
        if follow:
            file = load_rules(spec, names)
            if not follow_stream(file, spec, data, _end(end, file.end)):
                raise typer.Exit(DOES_NOT_HOLD)
            return
        case = load_case(spec, data, names)
        policy = _end(end, case.file.end)
        results = evaluate_case(case, policy)
        note_short_traces(case, policy)
        if as_json:
            print_json({"end": policy, "samples": case.trace.length, "specs": results})
        else:
            show_results(case, results, policy)
    if any(result["satisfied"] is False for result in results.values()):
        raise typer.Exit(DOES_NOT_HOLD)


@app.command("explain")
def explain(
    spec: SpecArgument,
    data: DataArgument,
    end: EndOption = None,
    names: NamesOption = None,
    at: Annotated[
        int | None, typer.Option("--at", min=0, help="Sample to explain. Without it: the first violation, or sample 0.")
    ] = None,
    plot: Annotated[Path | None, typer.Option("--plot", metavar="FILE", help="Draw it: a .png or .svg file.")] = None,
    as_json: JsonOption = False,
) -> None:
    """Say which samples and which parts of a rule make its verdict; without --spec, of the rules not satisfied."""
    from custodes.cli.output import print_json, print_line
    from custodes.cli.stl_load import load_case, refusals
    from custodes.cli.stl_whole import evaluate_case, explain_case

    with refusals():
        case = load_case(spec, data, names)
        policy = _end(end, case.file.end)
        chosen = [each.name for each in case.file.specs]
        if not names and len(chosen) > 1 and at is None:
            results = evaluate_case(case, policy)
            chosen = [name for name in chosen if results[name]["satisfied"] is not True]
        if plot is not None and len(chosen) != 1:
            raise CustodesError(f"a plot shows one rule, not {len(chosen)}", where=f"--plot {plot}", fix="add --spec")
        found = {name: explain_case(case, name, at, policy) for name in chosen}
        if plot is not None:
            from custodes.stl.plot import plot_explanation

            plot_explanation(found[chosen[0]], plot)
    if as_json:
        print_json({"specs": {name: each.to_json() for name, each in found.items()}})
        return
    for name, each in found.items():
        print_line(f"{name}: {each.to_text()}\n")
    if not found:
        count = len(case.file.specs)
        print_line(f"All {count} rules are satisfied." if count > 1 else f"{case.file.specs[0].name} is satisfied.")
    if plot is not None:
        print_line(f"Drawn to {plot}")


@app.command("bench")
def bench(
    rounds: Annotated[int, typer.Option("--rounds", min=1, help="Turns of every engine; the median counts.")] = 5,
    seconds: Annotated[float, typer.Option("--seconds", min=0.001, help="Length of a turn.")] = 0.5,
    peers: Annotated[bool, typer.Option("--peers/--no-peers", help="Also sentil, rtamt and stlcg++.")] = True,
    as_json: JsonOption = False,
) -> None:
    """Measure the evaluators on one thread, beside the other programs that are installed."""
    from custodes.cli.output import print_json, print_line
    from custodes.stl.bench import run_bench, table

    result = run_bench(rounds=rounds, seconds=seconds, peers=peers)
    if as_json:
        print_json(result)
    else:
        print_line(table(result))


def _end(asked: EndPolicy | None, declared: End) -> End:
    return declared if asked is None else asked.value


def _reach(row: dict[str, Any]) -> str:
    """How far a rule looks ahead, for people."""
    if not row["needs_period"]:
        return "no end" if row["horizon"] == "inf" else f"{row['horizon']}"
    return "no end" if row["horizon_s"] is None else f"{row['horizon_s']:g} s"
