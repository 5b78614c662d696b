"""How many decisions a team commits, and how fast: real processes, real sockets, real signatures, real files.

Every agent signs its votes on every batch, every replica checks all of them and recomputes the decisions ("evidence
on"; there is no other way to run it). A block holds one batch of K decisions. Latency is from the moment a replica's
own agent hands its votes in to the moment that replica has the block committed, journal included, over all replicas.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any, Final, final

from custodes.bft.cluster.local import LocalTeam

WARM_UP: Final = 3.0
"""Seconds: a replica that started last may be dialled again only after two."""


@final
@dataclass(frozen=True, kw_only=True, slots=True)
class BenchRow:
    """One measurement."""

    n: int
    """Replicas, one process each."""
    k: int
    """Decisions per block."""
    durable: bool
    """Whether log and journal waited for the disk."""
    evidence: bool
    """Whether blocks carried every agent's signed votes, checked by all; always true."""
    window: int
    """Batches in flight."""
    decisions_per_second: float
    """Committed, median over replicas."""
    blocks_per_second: float
    """Committed, median over replicas."""
    p50_ms: float
    """Median commit latency."""
    p99_ms: float
    """99th percentile of commit latency."""
    seconds: float
    """How long was measured."""


def run_bench(
    sizes: Sequence[int], ks: Sequence[int], *, durable: Sequence[bool], seconds: float, windows: Sequence[int]
) -> Iterator[BenchRow]:
    """Measure teams one after the other.

    Args:
        sizes: Numbers of replicas, each at least 4.
        ks: Decisions per block.
        durable: With and/or without waiting for the disk.
        seconds: Measured time per row, after a warm-up of a quarter of it, at least `WARM_UP`.
        windows: Batches in flight; 1 shows the latency of a team with nothing queued, 8 its throughput.

    Raises:
        BftError: A team does not start.
    """
    for n in sizes:
        for k in ks:
            for waits in durable:
                for window in windows:
                    yield _row(n, k, waits, seconds, window)


def as_json(rows: Sequence[BenchRow]) -> dict[str, Any]:
    """`{rows: [...]}`."""
    return {"rows": [asdict(row) for row in rows]}


def _row(n: int, k: int, durable: bool, seconds: float, window: int) -> BenchRow:
    options = ("--synthetic", str(k), "--output", "summary", "--window", str(window), "--batches", "1")
    with tempfile.TemporaryDirectory(prefix="custodes-bench-") as folder:
        team = LocalTeam(Path(folder), n, (*options, *(() if durable else ("--no-durable",))))
        with team:
            time.sleep(max(WARM_UP, seconds / 4))
            begin = time.monotonic()
            time.sleep(seconds)
            end = time.monotonic()
        per_replica = [_within(replica.rows, begin, end) for replica in team.replicas]
    latencies = sorted(latency for decided in per_replica for _, _, latency in decided if latency >= 0)
    blocks = median(len(decided) for decided in per_replica) / (end - begin)
    return BenchRow(
        n=n,
        k=k,
        durable=durable,
        evidence=True,
        window=window,
        decisions_per_second=round(blocks * k, 1),
        blocks_per_second=round(blocks, 2),
        p50_ms=round(1_000 * _quantile(latencies, 0.50), 3),
        p99_ms=round(1_000 * _quantile(latencies, 0.99), 3),
        seconds=round(end - begin, 3),
    )


def _within(rows: Sequence[dict[str, Any]], begin: float, end: float) -> list[tuple[float, int, float]]:
    """What one replica decided between two moments (of the clock that all processes share)."""
    summary: list[tuple[float, int, float]] = next((row["summary"] for row in rows if "summary" in row), [])
    return [(at, count, latency) for at, count, latency in summary if begin <= at < end]


def _quantile(values: Sequence[float], share: float) -> float:
    """Nearest-rank quantile of sorted values; NaN of none."""
    return values[min(len(values) - 1, int(share * len(values)))] if values else float("nan")
