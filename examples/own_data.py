"""A user's own data in ten lines: `python examples/own_data.py [MY.csv]` trains a team to act on it, and scores it.

The file is CSV, Parquet or JSON lines in the event table's schema (docs/data.md): at least `time` (ns UTC), `entity`,
`kind` and `label` (0 benign, 1 malicious). With `parent` a Block reaches descendants, with `channel` agents see
different things. Without a file, a small one is made up and left beside the run.
"""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path

from custodes.data.synthetic import SyntheticConfig, generate
from custodes.errors import CustodesError
from custodes.evaluate import encode_evaluation
from custodes.report import write_report
from custodes.train.loop import train
from custodes.train.presets import load_preset
from custodes.train.scoring import evaluate_run, workload_of

DECISIONS = os.environ.get("CUSTODES_EXAMPLE_DECISIONS", "80000")


def defend(data: Path, folder: Path) -> None:
    """Train on some processes of the file, act on others, and say what came of it."""
    # The response task of `quick` on this file: whole processes are dealt to training, validation and test. A short
    # training does more after supervised passes over the training labels.
    settings = [f"data.path={data}", "data.source=table", "data.split=entity", f"train.decisions={DECISIONS}"]
    run = train(load_preset("quick", [*settings, "rl.warm_start=true"]), folder / "run")
    # The state that was best on validation plays the test part. The strongest baseline, `trees-context`, takes longest.
    result = evaluate_run(run, workload_of(run), baselines=("block-all", "event-kind", "trees"))
    run.write_evaluation("test", encode_evaluation(result))
    page = write_report(run.path)
    # 0 is doing nothing, 1 is blocking every process at its first malicious event; None where the part holds no attack.
    for name, row in {"team": result.response, **{n: b.response for n, b in result.baselines.items()}}.items():
        print(f"{name:<10}  response score {row.score if row else None}")
    print(f"report: {page}")


def made_up(folder: Path) -> Path:
    """A small recording with attacks, as CSV."""
    path = folder / "events.csv"
    generate(SyntheticConfig(hosts=8, processes=160, events=16_000)).write_csv(path)
    return path


def main() -> int:
    """Exit code: 0, or 2 for a file that cannot be learned from."""
    folder = Path(tempfile.mkdtemp(prefix="custodes-"))
    try:
        defend(Path(sys.argv[1]).resolve() if len(sys.argv) > 1 else made_up(folder), folder)
    except CustodesError as error:
        print(error, file=sys.stderr)
        return 2
    return 0


if __name__ == "__main__":
    sys.exit(main())
