"""Rules off, as a penalty, by multipliers, and those with a shield: what each does to the response and to the rules.

    python -m benchmarks.rules_ablation --preset carbanak --data carbanak-h3.parquet --seeds 0 1 2 --out runs/rules

Trains `OUT/METHOD-SEED` unless it is there already, evaluates its test part, and prints a row for each run. `off` only
watches the rules, which changes nothing of a run without them. `shield` trains nothing: it is `lagrangian`, evaluated
with the hard rules of the same file between the vote and what happens. `--set` goes to every training. With `--jobs` so
many runs are trained at a time, each in a process of its own with one thread.
"""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from multiprocessing import get_context
from pathlib import Path
from typing import Any, Final

import torch

from custodes.errors import CustodesError
from custodes.evaluate.evaluation import Evaluation, encode_evaluation, read_evaluation
from custodes.evaluate.response.schema import ShieldRecord
from custodes.evaluate.response.shielded import Guard, guard_of
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset
from custodes.train.run_folder import RunFolder, open_run
from custodes.train.scoring import evaluate_run, workload_of

TRAINED: Final = {"off": "watch", "penalty": "penalty", "lagrangian": "lagrangian"}
"""Name in the table to `rules.method`."""
SHIELDED: Final = {"shield": "lagrangian"}
"""Name in the table to the one whose runs are evaluated under a shield."""
METHODS: Final = (*TRAINED, *SHIELDED)


def run_of(method: str, seed: int, given: argparse.Namespace) -> RunFolder:
    """The finished run of a method and a seed."""
    path = given.out / f"{method}-{seed}"
    changes = [f"rules.file={given.specs}", f"rules.method={TRAINED[method]}", f"seed={seed}", *given.changes]
    watcher = Watcher(warn=lambda line: print(f"{path.name}: {line}", file=sys.stderr))
    if (path / "config.toml").exists():
        return resume(path, watcher)
    config = load_preset(given.preset, changes)
    if given.data is not None:
        config = replace(config, data=replace(config.data, path=str(given.data)))
    return train(config, path, watcher)


def evaluated(run: RunFolder, guard: Guard | None = None) -> Evaluation:
    """Its record on the test part, under a shield where one is given."""
    shielded = guard is not None
    file = run.evaluation_path("test", shielded=shielded)
    if not file.exists() or (guard is not None and _shield_of(file) != guard.specs):
        found = evaluate_run(run, workload_of(run), baselines=(), guard=guard)
        run.write_evaluation("test", encode_evaluation(found), shielded=shielded)
    return read_evaluation(file)


def _shield_of(file: Path) -> str:
    """Whose rules a shielded result is of."""
    shield = read_evaluation(file).shield
    return shield.specs if isinstance(shield, ShieldRecord) else ""


def row(name: str, found: Evaluation) -> dict[str, Any]:
    """What is compared."""
    assert found.response is not None
    assert found.stl is not None
    made: dict[str, Any] = {
        "run": name,
        "score": found.response.score,
        "false_containments_per_1000": found.response.false_containments_per_1000,
        "alerts": found.response.alerts,
        "specs": {
            name: {"satisfied": each.satisfied, "triggered": each.triggered, "feasible": each.feasible}
            for name, each in found.stl.items()
        },
    }
    if found.shield:
        made["shield"] = {"by_rule": found.shield.by_rule, "unavoidable": found.shield.unavoidable}
    return made


def rows_of(method: str, seed: int, given: argparse.Namespace) -> dict[tuple[str, int], dict[str, Any]]:
    """The rows of one run, trained where it has to be: its own, and that under a shield."""
    torch.set_num_threads(1)
    run = open_run(run_of(method, seed, given).path)
    found = {}
    for name in given.methods:
        if name == method:
            found[name, seed] = row(f"{name} {seed}", evaluated(run))
        elif SHIELDED.get(name) == method:
            found[name, seed] = row(f"{name} {seed}", evaluated(run, guard_of(given.specs, "response")))
    return found


def all_rows(given: argparse.Namespace) -> list[dict[str, Any]]:
    """Every row, by method and then by seed."""
    methods = dict.fromkeys(SHIELDED.get(name, name) for name in given.methods)
    tasks = [(method, seed, given) for method in methods for seed in given.seeds]
    found: dict[tuple[str, int], dict[str, Any]] = {}
    for each in _parallel(tasks, given.jobs):
        found |= each
    return [found[name, seed] for name in given.methods for seed in given.seeds]


def _parallel(
    tasks: list[tuple[str, int, argparse.Namespace]], jobs: int
) -> Iterator[dict[tuple[str, int], dict[str, Any]]]:
    if jobs < 2:
        yield from (rows_of(*task) for task in tasks)
        return
    # A fresh interpreter each: a forked one would share torch's threads with its parent.
    with ProcessPoolExecutor(jobs, mp_context=get_context("spawn")) as pool:
        yield from pool.map(rows_of, *zip(*tasks, strict=True))


def main(arguments: list[str] | None = None) -> int:
    """Train, evaluate, print."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.rules_ablation", description=__doc__)
    parser.add_argument("--preset", default="quick")
    parser.add_argument("--data", type=Path, default=None)
    parser.add_argument("--specs", default="default")
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--methods", nargs="+", choices=METHODS, default=list(METHODS))
    parser.add_argument("--set", dest="changes", action="append", default=[], metavar="KEY=VALUE")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--jobs", type=int, default=1, metavar="N", help="runs at a time, each in a process of its own")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    try:
        if SHIELDED.keys() & set(given.methods):
            guard_of(given.specs, "response")  # A file that cannot be enforced is refused before anything is trained.
        rows = all_rows(given)
    except CustodesError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"rows": rows}))
        return 0
    for line in _lines(rows):
        print(line)
    return 0


def _lines(rows: Iterable[dict[str, Any]]) -> Iterator[str]:
    """The table for people."""
    for each in rows:
        yield (
            f"{each['run']:<14} score {each['score']:.3f}  false containments per 1,000 "
            f"{each['false_containments_per_1000']:.1f}  alerts {each['alerts']}"
        )
        for name, spec in each["specs"].items():
            share = f"{spec['satisfied'] / spec['triggered']:.3f}" if spec["triggered"] else "not shown"
            note = "" if spec["feasible"] else "  (infeasible)"
            yield f"    {name:<30}{spec['satisfied']:>7,} of {spec['triggered']:>7,}  {share}{note}"
        if "shield" in each:
            replaced = ", ".join(f"{rule} {count:,}" for rule, count in each["shield"]["by_rule"].items())
            yield f"    replaced by the shield: {replaced}; no action safe: {each['shield']['unavoidable']:,}"


if __name__ == "__main__":
    sys.exit(main())
