"""Rules off, as a penalty, and by multipliers: what each does to the response and to the rules.

    python -m benchmarks.rules_ablation --preset carbanak --data carbanak-h3.parquet --seeds 0 1 2 --out runs/rules

Trains `OUT/METHOD-SEED` unless it is there already, evaluates its test part, and prints a row for each run. `off` only
watches the rules, which changes nothing of a run without them. `--set` goes to every training.
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

import torch

from custodes.errors import CustodesError
from custodes.evaluate.evaluation import Evaluation, encode_evaluation, read_evaluation
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset
from custodes.train.run_folder import RunFolder, open_run
from custodes.train.scoring import evaluate_run, workload_of

METHODS: Final = {"off": "watch", "penalty": "penalty", "lagrangian": "lagrangian"}
"""Name in the table to `rules.method`."""


def run_of(method: str, seed: int, given: argparse.Namespace) -> RunFolder:
    """The finished run of a method and a seed."""
    path = given.out / f"{method}-{seed}"
    changes = [f"rules.file={given.specs}", f"rules.method={METHODS[method]}", f"seed={seed}", *given.changes]
    watcher = Watcher(warn=lambda line: print(f"{path.name}: {line}", file=sys.stderr))
    if (path / "config.toml").exists():
        return resume(path, watcher)
    config = load_preset(given.preset, changes)
    if given.data is not None:
        config = replace(config, data=replace(config.data, path=str(given.data)))
    return train(config, path, watcher)


def evaluated(run: RunFolder) -> Evaluation:
    """Its record on the test part."""
    file = run.evaluation_path("test")
    if not file.exists():
        run.write_evaluation("test", encode_evaluation(evaluate_run(run, workload_of(run), baselines=())))
    return read_evaluation(file)


def row(name: str, found: Evaluation) -> dict[str, Any]:
    """What is compared."""
    assert found.response is not None
    assert found.stl is not None
    return {
        "run": name,
        "score": found.response.score,
        "false_containments_per_1000": found.response.false_containments_per_1000,
        "alerts": found.response.alerts,
        "specs": {
            name: {"satisfied": each.satisfied, "triggered": each.triggered, "feasible": each.feasible}
            for name, each in found.stl.items()
        },
    }


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
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    try:
        runs = [(method, seed) for method in given.methods for seed in given.seeds]
        rows = [row(f"{m} {s}", evaluated(open_run(run_of(m, s, given).path))) for m, s in runs]
    except CustodesError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"rows": rows}))
        return 0
    for each in rows:
        print(
            f"{each['run']:<14} score {each['score']:.3f}  false containments per 1,000 "
            f"{each['false_containments_per_1000']:.1f}  alerts {each['alerts']}"
        )
        for name, spec in each["specs"].items():
            share = f"{spec['satisfied'] / spec['triggered']:.3f}" if spec["triggered"] else "not shown"
            note = "" if spec["feasible"] else "  (infeasible)"
            print(f"    {name:<30}{spec['satisfied']:>7,} of {spec['triggered']:>7,}  {share}{note}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
