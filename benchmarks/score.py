"""How many events a running team decides on: `python -m benchmarks.score RUN FILE.jsonl [--json]`.

One process, one thread, on the events of a file of JSON lines (`custodes data convert` makes one):
inputs (the online encoder alone), `observe` (one event at a time, with the latency of each), `observe_many`, and
`custodes score` from file to pipe, JSON in and out. Beside it, as the peer, the offline encoder and the offline play of
the same events (`Team.play`), which see the whole recording at once and answer nothing before its end. Rates are events
per second of processor time, which other work on the machine disturbs least; latencies are of the clock.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any, Final

import msgspec
import numpy as np
import torch

from custodes.data.config import DataConfig
from custodes.data.features.online import OnlineEncoder
from custodes.data.reader import load
from custodes.data.views import preset_views, view_masks
from custodes.env.lanes import build_lanes
from custodes.env.response.replay import MASKS
from custodes.env.table import EnvTable
from custodes.errors import CustodesError
from custodes.serve import Team
from custodes.serve.loading import policy_of
from custodes.team.team import Team as PlayingTeam
from custodes.train.run_folder import open_run

TICK: Final = 1 / os.sysconf("SC_CLK_TCK")
"""Seconds in which processor time is counted; what takes less reads as none."""


def rate(count: int, work: Callable[[], Any]) -> float:
    """Events per second of processor time of some work on all of them, children's included."""
    begin = _spent()
    work()
    return _per_second(count, _spent() - begin)


def _per_second(count: int, spent: float) -> float:
    return round(count / max(spent, TICK), 1)


def _spent() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _encode_all(online: OnlineEncoder, pieces: list[list[dict[str, Any]]]) -> None:
    for piece in pieces:
        online.encode(piece)


def measure(path: Path, file: Path, most: int) -> dict[str, Any]:
    """All of it."""
    lines = [line for line in file.read_bytes().split(b"\n") if line.strip()][: most or None]
    events = [msgspec.json.decode(line) for line in lines]
    count = len(events)
    team = Team.load(path)
    checked = [team.check(event) for event in events]
    found: dict[str, Any] = {"events": count, "entities": len({(e["stream"], e["entity"]) for e in checked})}
    encoder = team.encoder.encoder
    found["inputs"] = {}
    for size in (1, 256):
        online = OnlineEncoder(encoder)
        pieces = [checked[start : start + size] for start in range(0, count, size)]
        found["inputs"][f"batch {size}"] = rate(count, partial(_encode_all, online, pieces))
    single, seconds = Team.load(path), []
    before = _spent()
    for event in events[: count // 4]:
        begin = time.perf_counter()
        single.observe(event)
        seconds.append(time.perf_counter() - begin)
    found["observe"] = {
        "events_per_second": _per_second(len(seconds), _spent() - before),
        "p50_ms": round(1_000 * float(np.quantile(seconds, 0.5)), 3),
        "p99_ms": round(1_000 * float(np.quantile(seconds, 0.99)), 3),
    }
    found["observe_many"] = rate(count, lambda: team.observe_many(events))
    found["command"] = rate(count, lambda: _command(path, b"\n".join(lines) + b"\n"))
    found["offline"] = _offline(path, file, count)
    return found


def _command(path: Path, data: bytes) -> None:
    """`custodes score RUN -`, start of the program included."""
    done = subprocess.run(
        [sys.executable, "-m", "custodes", "score", str(path), "-"],
        input=data,
        stdout=subprocess.PIPE,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        check=True,
    )
    assert done.stdout.count(b"\n") == data.count(b"\n")


def _offline(path: Path, file: Path, count: int) -> dict[str, float]:
    """The same events known as a whole."""
    run = open_run(path)
    dataset = load(DataConfig(source="table", path=str(file)))
    team = Team.load(path)
    encoder, config = team.encoder.encoder, run.config
    begin = _spent()
    inputs = encoder.transform(dataset)
    encoded = _spent()
    views = view_masks(preset_views(config.team.views, config.team.agents), encoder, dataset)
    table = EnvTable.from_numpy(inputs, dataset.labels, *views)
    lanes = build_lanes(dataset, np.arange(len(dataset)), config.env.lanes, config.env.window)
    PlayingTeam.of(policy_of(run, encoder)).play(table, lanes, MASKS)
    end = _spent()
    rows = len(dataset)
    return {"inputs": _per_second(rows, encoded - begin), "decisions": _per_second(rows, end - begin)}


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the measurement; 2 for input that cannot be used."""
    line = argparse.ArgumentParser(prog="python -m benchmarks.score", description=__doc__.splitlines()[0])
    line.add_argument("run", type=Path, help="folder of a run")
    line.add_argument("file", type=Path, help="events as JSON lines")
    line.add_argument("--events", type=int, default=0, help="only the first so many (default: all)")
    line.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    options = line.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        found = measure(options.run, options.file, options.events)
    except (CustodesError, OSError) as error:
        print(f"score: {error}", file=sys.stderr)
        return 2
    print(json.dumps(found) if options.json else json.dumps(found, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
