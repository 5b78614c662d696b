"""`custodes bft run | local | bench | certificate`: replicas as processes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Literal

import typer

from custodes.cli.options import JsonOption
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.bft.cluster.bench import BenchRow

TeamOption = Annotated[Path, typer.Option("--team", metavar="TEAM", help="The team file with the pinned keys.")]
StateOption = Annotated[Path, typer.Option("--state", metavar="FOLDER", help="Log, journal and evidence go here.")]


def run(
    team: TeamOption,
    index: Annotated[int, typer.Option("--index", metavar="I", help="Which replica of the team this is.")],
    state: StateOption,
    key: Annotated[
        Path | None, typer.Option("--key", metavar="FILE", help="Private key (beside the team file).")
    ] = None,
    fresh: Annotated[bool, typer.Option("--fresh", help="The key never signed: start a new log.")] = False,
    durable: Annotated[bool, typer.Option("--durable/--no-durable", help="Wait for the disk before signing.")] = True,
    synthetic: Annotated[
        int, typer.Option("--synthetic", metavar="K", help="Make up batches of K votes instead of reading them.", min=0)
    ] = 0,
    window: Annotated[int, typer.Option("--window", help="Batches in flight, at most.", min=1, max=64)] = 8,
    batches: Annotated[int, typer.Option("--batches", help="Batches per block, at most.", min=1, max=64)] = 8,
    timeout: Annotated[float, typer.Option("--timeout", metavar="S", help="How long a view may last.", min=0.01)] = 1.0,
    column_delay: Annotated[
        float, typer.Option("--column-delay", metavar="S", help="How long a leader waits for the last votes.", min=0.0)
    ] = 0.01,
    metrics: Annotated[
        int, typer.Option("--metrics", metavar="PORT", help="Serve Prometheus metrics on 127.0.0.1.", min=0, max=65535)
    ] = 0,
    output: Annotated[
        Literal["decisions", "digests", "summary"], typer.Option("--output", help="What to print of decisions.")
    ] = "decisions",
    capture: Annotated[
        Path | None, typer.Option("--capture", metavar="FILE", help="Keep every frame received.")
    ] = None,
    keep: Annotated[
        int, typer.Option("--keep", metavar="MIB", help="Applied blocks that are kept, MiB.", min=128)
    ] = 1024,
    shield: Annotated[
        str | None,
        typer.Option("--shield", metavar="SPECS", help="Hard rules that overrule votes, the same at all replicas."),
    ] = None,
    deferred: Annotated[bool, typer.Option("--deferred/--no-deferred", hidden=True)] = False,
) -> None:
    """Run one replica: votes as JSON lines on standard input, decisions as JSON lines on standard output."""
    from custodes.bft.cluster.process import ProcessSettings, run_process

    settings = ProcessSettings(
        team=team,
        index=index,
        state=state,
        key=key,
        fresh=fresh,
        durable=durable,
        synthetic=synthetic,
        window=window,
        batches=batches,
        timeout=timeout,
        column_delay=column_delay,
        metrics_port=metrics,
        output=output,
        capture=capture,
        keep_bytes=keep * 2**20,
        deferred=deferred,
    )
    guard = None
    if shield is not None:
        from custodes.team.shield import Shield, read_rules
        from custodes.team.shield.ballot import BallotShield
        from custodes.team.shield.signals import UNTOLD

        guard = BallotShield(Shield(read_rules(shield, untold=UNTOLD)))
    with _one_line():
        run_process(settings, guard)


def local(
    folder: Annotated[Path, typer.Argument(metavar="FOLDER", help="Keys and state; made when missing.")],
    n: Annotated[
        int, typer.Option("--n", metavar="N", help="Replicas, one process each, at least 4.", min=4, max=64)
    ] = 4,
    k: Annotated[int, typer.Option("--k", metavar="K", help="Made-up votes per batch.", min=1)] = 100,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="How long to run.", min=0.1)] = 5.0,
    as_json: JsonOption = False,
) -> None:
    """Run a whole team on this machine on made-up votes; says what it decided, and leaves its folder to look at."""
    import time

    from custodes.bft.cluster.local import LocalTeam
    from custodes.cli.output import print_json, print_line

    with _one_line():
        team = LocalTeam(folder, n, ("--synthetic", str(k), "--output", "digests"))
        with team:
            time.sleep(seconds)
        told = [{row["batch"]: row["digest"] for row in replica.rows if "digest" in row} for replica in team.replicas]
    common = set.intersection(*map(set, told))
    equal = all(len({each[batch] for each in told}) == 1 for batch in common)
    found = {"n": n, "k": k, "batches": [len(each) for each in told], "common": len(common), "equal": equal}
    if as_json:
        print_json(found)
    else:
        print_line(
            f"{n} replicas decided {len(common)} batches of {k} in common, {'all' if equal else 'NOT all'} equal"
        )
        print_line(f"A certificate: custodes bft certificate {team.state(0)} --batch 0 --out batch-0.cert")
        print_line(f"Its check:     custodes bft verify batch-0.cert --team {folder / 'team.toml'}")
    if not equal:
        raise typer.Exit(1)


def bench(
    n: Annotated[
        list[int] | None, typer.Option("--n", metavar="N", help="Replicas; may be given again.", min=4)
    ] = None,
    k: Annotated[
        list[int] | None, typer.Option("--k", metavar="K", help="Decisions per block; may repeat.", min=1)
    ] = None,
    durable: Annotated[
        bool | None, typer.Option("--durable/--no-durable", help="Only with, or only without waiting for the disk.")
    ] = None,
    seconds: Annotated[float, typer.Option("--seconds", metavar="S", help="Measured time per row.", min=0.5)] = 8.0,
    window: Annotated[
        list[int] | None, typer.Option("--window", help="Batches in flight (1 and 8); may repeat.", min=1, max=64)
    ] = None,
    as_json: JsonOption = False,
) -> None:
    """Measure decisions per second and commit latency of teams on this machine, over TCP with TLS."""
    from custodes.bft.cluster.bench import as_json as to_json
    from custodes.bft.cluster.bench import run_bench
    from custodes.cli.output import print_json, say

    rows: list[BenchRow] = []
    with _one_line():
        waits = (True, False) if durable is None else (durable,)
        for row in run_bench(
            n or (4, 7), k or (100, 400, 1_000, 10_000), durable=waits, seconds=seconds, windows=window or (1, 8)
        ):
            rows.append(row)
            say(f"n = {row.n}, K = {row.k}: {row.decisions_per_second:,.0f} decisions/s, p50 {row.p50_ms:.1f} ms")
    if as_json:
        print_json(to_json(rows))
    else:
        _show(rows)


def certificate(
    state: Annotated[Path, typer.Argument(metavar="STATE", help="A replica's folder.")],
    batch: Annotated[int, typer.Option("--batch", metavar="B", help="Which batch was decided.", min=0)],
    out: Annotated[Path, typer.Option("--out", metavar="FILE", help="Certificate file to write.")],
) -> None:
    """Write the decision certificate of a batch to a file, for `custodes bft verify`."""
    from custodes.bft.ballots import decode_payload
    from custodes.bft.certificates import encode_certificate
    from custodes.bft.cluster.journal import read_entries
    from custodes.bft.team import MAX_REPLICAS
    from custodes.cli.output import print_line

    with _one_line():
        if not (state / "journal").is_dir():
            raise CustodesError("no journal here", where=str(state), fix="name a replica's state folder")
        for entry in read_entries(state / "journal"):
            if any(ballot.batch == batch for ballot in decode_payload(entry.block.payload, MAX_REPLICAS)):
                _write(out, encode_certificate(entry.certificate))
                print_line(f"Batch {batch} was decided by block {entry.root.block.hex()}: {out}")
                return
    raise CustodesError(f"batch {batch} is not in the journal", where=str(state), fix="it may not be decided yet")


def _write(path: Path, data: bytes) -> None:
    """Write a new file; what is there stays."""
    try:
        with path.open("xb") as file:
            file.write(data)
    except FileExistsError:
        raise CustodesError("file exists", where=str(path), fix="choose another name") from None


def _show(rows: list[BenchRow]) -> None:
    from custodes.cli.output import print_table

    print_table(
        "Decisions committed; evidence on; one process per replica:",
        ("n", "K", "durable", "in flight", "decisions/s", "blocks/s", "p50 ms", "p99 ms"),
        (
            (
                row.n,
                row.k,
                "yes" if row.durable else "no",
                row.window,
                f"{row.decisions_per_second:,.0f}",
                f"{row.blocks_per_second:,.1f}",
                f"{row.p50_ms:.2f}",
                f"{row.p99_ms:.2f}",
            )
            for row in rows
        ),
        names=0,
    )


@contextmanager
def _one_line() -> Iterator[None]:
    """The package's own exception as the program's."""
    from custodes.bft.errors import BftError

    try:
        yield
    except BftError as error:
        raise CustodesError(error.what, where=error.where, fix=error.fix) from None
