"""`custodes data`: look at recordings, split and convert them. Loads no torch."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from custodes.cli.options import DataOption, JsonOption, MaxRejectsOption, PresetOption, SetOption, settings
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.data import DataConfig

app = typer.Typer(help="List, describe, audit, split and convert recordings.")

RejectsOption = Annotated[
    Path | None, typer.Option("--rejects", metavar="FILE", help="Keep malformed lines here, with line and reason.")
]
SplitOption = Annotated[
    str | None, typer.Option("--split", metavar="METHOD", help="rows, blocks, temporal, entity or given.")
]


@app.callback(invoke_without_command=True)
def _root(context: typer.Context) -> None:
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())


@app.command("list")
def list_recordings(as_json: JsonOption = False) -> None:
    """List the presets with their recordings and where those were found."""
    from custodes.cli.locate import known_place
    from custodes.cli.output import print_json, print_table
    from custodes.train.presets import preset_names, preset_table

    rows = []
    for name in preset_names():
        data = preset_table(name)["data"]
        files = [data[key] for key in ("path", "test_path") if data.get(key)]
        found = [place for place in map(known_place, files) if place is not None]
        rows.append(
            {
                "preset": name,
                "source": data["source"],
                "split": data["split"],
                "files": files,
                "found": [str(place) for place in found],
            }
        )
    if as_json:
        print_json({"presets": rows})
        return
    shown = ((row["preset"], row["source"], row["split"], _found(row), ", ".join(row["files"]) or "-") for row in rows)
    print_table(
        "Presets, and whether their recordings were found:",
        ("preset", "source", "split", "found", "files"),
        shown,
        names=5,
    )


@app.command("describe")
def describe(
    preset: PresetOption = None,
    data: DataOption = None,
    changes: SetOption = None,
    max_rejects: MaxRejectsOption = None,
    rejects: RejectsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what a recording holds: records, time, streams, entities, kinds, labels, gaps."""
    from custodes.cli.output import print_json
    from custodes.data.describe import describe as describe_data

    config = _config(preset, data, settings(changes, max_rejects=max_rejects))
    description: Mapping[str, Any] = describe_data(config, rejects=rejects)
    _tell_left_out(description["rejected"], rejects)
    if as_json:
        print_json(description)
    else:
        _show_description(description)


@app.command("split")
def split_recording(
    preset: PresetOption = None,
    data: DataOption = None,
    method: SplitOption = None,
    changes: SetOption = None,
    max_rejects: MaxRejectsOption = None,
    rejects: RejectsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Deal a recording to train, validation and test, and print sizes, threats and rates."""
    from custodes.cli.output import percent, print_json, print_line, print_table, say
    from custodes.data import load, split

    config = _config(preset, data, settings(changes, max_rejects=max_rejects, data__split=method))
    dataset = load(config, rejects=rejects)
    _tell_left_out(dataset.rejected, rejects)
    parts = split(dataset, config)
    summary = parts.summary(dataset.labels)
    if as_json:
        print_json(summary)
    else:
        rows = ((name, part["records"], part["threats"], percent(part["rate"])) for name, part in summary.items())
        title = f"{dataset.name}, split {parts.method}, seed {parts.seed}"
        print_table(title, ("part", "records", "threats", "rate"), rows)
    for warning in parts.warnings:
        (say if as_json else print_line)(f"Note: {warning}.")


@app.command("audit")
def audit(
    preset: PresetOption = None,
    data: DataOption = None,
    run: Annotated[
        Path | None, typer.Option("--run", metavar="RUN", help="Audit this run's data and write RUN/audit.json.")
    ] = None,
    method: SplitOption = None,
    trees: Annotated[bool, typer.Option("--trees/--no-trees", help="Fit boosted trees too (slow).")] = True,
    changes: SetOption = None,
    max_rejects: MaxRejectsOption = None,
    rejects: RejectsOption = None,
    as_json: JsonOption = False,
) -> None:
    """Say what to know about a recording and its split before believing a score on it."""
    from custodes.cli.locate import find_data
    from custodes.cli.output import print_json
    from custodes.data import load, split
    from custodes.data.audit import audit as audit_data

    overrides = settings(changes, max_rejects=max_rejects, data__split=method)
    if run is None:
        config = _config(preset, data, overrides)
    elif preset is not None or overrides:
        raise CustodesError(
            "a run has its own settings", where=f"--run {run}", fix="leave out all flags but --data and --rejects"
        )
    else:
        config = find_data(_run_data(run), data)
    dataset = load(config, rejects=rejects)
    _tell_left_out(dataset.rejected, rejects)
    if run is not None:
        _refuse_other_data(run, dataset.digest)
    findings = audit_data(dataset, split(dataset, config), config, trees=trees)
    result = {"dataset": dataset.name, "split": config.split, "findings": [asdict(finding) for finding in findings]}
    if run is not None:
        _write_audit(run, result)
    if as_json:
        print_json(result)
    else:
        _show_findings(result)


@app.command("convert")
def convert(
    out: Annotated[Path, typer.Argument(metavar="OUT", help="Parquet file to write.", show_default=False)],
    preset: PresetOption = None,
    data: DataOption = None,
    changes: SetOption = None,
    max_rejects: MaxRejectsOption = None,
    rejects: RejectsOption = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace OUT if it exists.")] = False,
    as_json: JsonOption = False,
) -> None:
    """Write a recording as Parquet in the event schema."""
    from custodes.cli.output import print_json, print_line
    from custodes.data.convert import convert as convert_data

    config = _config(preset, data, settings(changes, max_rejects=max_rejects))
    done = convert_data(config, out, rejects=rejects, overwrite=overwrite)
    _tell_left_out(done.rejected, rejects)
    if as_json:
        print_json(asdict(done))
    else:
        print_line(
            f"{done.records:,} records of source {done.source} written to {done.path}; {done.rejected:,} rejected"
        )


def _tell_left_out(rejected: int, rejects: Path | None) -> None:
    """Say on standard error how many malformed lines were left out, and where they are."""
    from custodes.cli.output import say
    from custodes.data.rejects import left_out_note

    note = left_out_note(rejected, rejects)
    if note is not None:
        say(note)


def _run_data(run: Path) -> DataConfig:
    """Settings of a run's data. Reading a run loads torch; nothing else here does."""
    from custodes.train.run_folder import open_run

    return open_run(run).config.data


def _refuse_other_data(run: Path, digest: str) -> None:
    """An audit of other data would be shown in the run's report as if it were of its own."""
    from custodes.train.run_folder import open_run

    if open_run(run).digest != digest:
        raise CustodesError(
            "this is not the data that the run was trained on", where=str(run), fix="give the original with --data"
        )


def _write_audit(run: Path, result: Mapping[str, Any]) -> None:
    """Put the findings where the run's report looks for them."""
    from custodes.train.atomic import write_atomic
    from custodes.train.jsontext import json_line

    write_atomic(run / "audit.json", (json_line(result) + "\n").encode())


def _show_findings(result: Mapping[str, Any]) -> None:
    """Print findings for people, a paragraph each."""
    from custodes.cli.output import print_line

    print_line(f"{result['dataset']}, split {result['split']}: {len(result['findings'])} findings")
    for finding in result["findings"]:
        print_line(f"\n{finding['severity'].upper()}  {finding['name']}\n  {finding['what']}")


def _found(row: Mapping[str, Any]) -> str:
    """Whether all the files of a preset are there."""
    return "yes" if len(row["found"]) == len(row["files"]) else "no"


def _config(preset: str | None, data: Path | None, overrides: list[str]) -> DataConfig:
    """Settings of the data alone, from a preset or from defaults, with the recording found."""
    from custodes.cli.locate import find_data
    from custodes.data import DataConfig
    from custodes.train.presets import preset_table
    from custodes.train.settings import apply_overrides, from_table

    foreign = [override for override in overrides if not override.strip().startswith("data.")]
    if foreign:
        raise CustodesError("only settings of the data count here", where=f"--set {foreign[0]}", fix="leave it out")
    table = apply_overrides({} if preset is None else preset_table(preset), overrides)
    return find_data(from_table(table.get("data", {}), DataConfig, prefix="data"), data)


def _show_description(description: Mapping[str, Any]) -> None:
    """Print a description for people."""
    from custodes.cli.output import print_table

    time = description["time"]
    facts = {
        key: description[key] for key in ("source", "records", "rejected", "streams", "entities", "threat_entities")
    }
    facts |= {"first": time["first"], "last": time["last"]}
    facts |= {"steps back in time": time["steps_back"], "without a time": time["timeless"]}
    facts |= {f"missing {name}": count for name, count in description["nulls"].items()}
    facts |= {f"not finite {name}": count for name, count in description["not_finite"].items()}
    print_table(str(description["name"]), ("", ""), facts.items(), names=1)
    records = max(1, description["records"])
    for name, counts in description["counts"].items():
        rows = [(value or "(empty)", count, f"{count / records:.2%}") for value, count in counts.items()]
        more = [(f"({len(rows) - 12} more)", sum(count for _, count, _ in rows[12:]), "")] if len(rows) > 12 else []
        print_table(f"\n{name}", ("value", "records", "share"), (*rows[:12], *more))
