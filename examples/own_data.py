"""A user's own data in ten lines: `python examples/own_data.py [MY.csv]` trains a team to act on it, and scores it.

The file is CSV, Parquet or JSON lines in the event table's schema (docs/data.md). `time` (ns UTC), `entity` and `kind` are
needed, `label` (0 benign, 1 malicious) to learn from; `stream`, `parent` and `channel` let a Block reach descendants,
and agents see different things. Without a file, a small one is made up and left beside the run.
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

DECISIONS = os.environ.get("CUSTODES_EXAMPLE_DECISIONS", "100000")


def defend(data: Path, folder: Path) -> None:
    """Train on some processes of the file, act on others, and say what came of it."""
    # The response task of `quick`, on this file; whole processes are dealt to training, validation and test.
    settings = [f"data.path={data}", "data.source=table", "data.split=entity", f"train.decisions={DECISIONS}"]
    run = train(load_preset("quick", settings), folder / "run")
    # The state that was best on validation plays the test part, beside two policies that learn nothing and the trees.
    result = evaluate_run(run, workload_of(run), baselines=("alert-all", "block-all", "trees-context"))
    run.write_evaluation("test", encode_evaluation(result))
    # 0 is doing nothing, 1 is blocking every process at its first malicious event; None where the part holds no attack.
    print("team", result.response.score, "95 % interval", result.response.score_ci)
    for name, baseline in result.baselines.items():
        print(name, baseline.response.score)
    print("report:", write_report(run.path))


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
