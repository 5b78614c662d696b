"""Train and score a team on a file of your own: `python examples/own_data.py [events.csv]`.

The file is CSV, Parquet or JSON lines in the event table's schema (docs/data.md): `time` in ns UTC, `stream`, `entity`,
`channel`, `kind` and `label` (0 benign, 1 malicious) are enough. Without a file, a small one is made up.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from custodes.data.synthetic import SyntheticConfig, generate
from custodes.train.loop import train
from custodes.train.presets import load_preset
from custodes.train.scoring import evaluate_run, workload_of


def main() -> None:
    """Train on processes of one part of the file, score on those of another."""
    folder = Path(tempfile.mkdtemp())
    if len(sys.argv) > 1:
        path = Path(sys.argv[1]).resolve()
    else:
        path = folder / "events.csv"
        generate(SyntheticConfig(hosts=2, processes=60, events=8_000, campaigns=10)).write_csv(path)
    decisions = os.environ.get("CUSTODES_EXAMPLE_DECISIONS", "100000")
    settings = [f"data.path={path}", "data.source=table", "data.split=entity", f"train.decisions={decisions}"]
    run = train(load_preset("quick", settings), folder / "run")
    result = evaluate_run(run, workload_of(run), baselines=("random", "trees"))
    for name, score in {"team": result, **result.baselines}.items():
        print(f"{name:<8} F1 {score.f1}  precision {score.precision}  recall {score.recall}")
    print(f"The run is in {run.path}")


if __name__ == "__main__":
    main()
