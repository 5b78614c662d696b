"""What one input and a threshold reach in the response task: the bar that a learned team has to beat first.

    python -m benchmarks.response_rules --data carbanak-h3.parquet [--json]

Nothing is learned but the inputs themselves (fitted on the training and the validation part, as the preset fits them).
Every row blocks from a threshold on; the thresholds are given, not tuned.
"""

from __future__ import annotations

import argparse
import json
import sys
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.bft.votes import ALLOW, BLOCK
from custodes.data.schema import BENIGN, MALICIOUS
from custodes.errors import CustodesError
from custodes.evaluate.metrics import binary_metrics
from custodes.evaluate.response.outcome import outcome, reference_of, response_score
from custodes.team.workload import Workload
from custodes.train.presets import load_preset
from custodes.train.scoring import workload_for

RULES = (("reputation:lineage", 0.7), ("reputation:process", 0.7), ("standing:image", 0.5), ("standing:lineage", 0.5))
"""Input and threshold of each rule."""


def rows_of(workload: Workload, image: str) -> list[dict[str, Any]]:
    """The rules on the training period (each process judged by the others) and on the test part."""
    found = []
    for part, rows in (("training", workload.training_rows()), ("test", workload.split.rows("test"))):
        for name, threshold in RULES:
            column = next(i for i, c in enumerate(workload.encoder.columns) if c.name == name)
            found.append({"part": part, "rule": f"{name} >= {threshold}", **_score(workload, rows, column, threshold)})
        named = workload.dataset.events["image"].str.ends_with(image).to_numpy()
        found.append({"part": part, "rule": f"image ends with {image}", **_block(workload, rows, named)})
    return found


def _score(workload: Workload, rows: NDArray[np.int64], column: int, threshold: float) -> dict[str, Any]:
    values = workload.features[:, column]
    known = rows[np.isin(workload.dataset.labels[rows], (BENIGN, MALICIOUS))]
    metrics = binary_metrics(
        labels=workload.dataset.labels[known],
        predictions=values[known] >= threshold,
        scores=values[known],
        rewards=None,
    )
    return {**_block(workload, rows, values >= threshold), "pr_auc": metrics["pr_auc"]}


def _block(workload: Workload, rows: NDArray[np.int64], said: NDArray[np.bool_]) -> dict[str, Any]:
    recording = workload.recording(rows)
    result = outcome(recording, np.where(said[recording.source], BLOCK, ALLOW), workload.costs)
    ends = reference_of(recording, workload.costs)
    return {
        "score": response_score(result.cost, ends.allow.cost, ends.oracle.cost),
        "harm": result.harm,
        "false_blocks": result.false_blocks,
    }


def main(arguments: list[str] | None = None) -> int:
    """Print the table."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.response_rules", description=__doc__)
    parser.add_argument("--data", type=Path, required=True, help="the recording of preset carbanak")
    parser.add_argument("--image", default="wscript.exe", help="also block what runs this executable")
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    given = parser.parse_args(arguments)
    try:
        config = load_preset("carbanak", [f"data.path={given.data}", "data.names=shown"])
        rows = rows_of(workload_for(config), given.image)
    except CustodesError as error:
        print(error, file=sys.stderr)
        return 2
    if given.json:
        print(json.dumps({"rows": rows}))
        return 0
    for row in rows:
        auc = "" if "pr_auc" not in row else f"  PR-AUC {row['pr_auc']:.3f}"
        print(
            f"{row['part']:<9}{row['rule']:<30} score {row['score']:.3f}  harm {row['harm']:6.1f}  "
            f"false Blocks {row['false_blocks']}{auc}"
        )
    return 0


if __name__ == "__main__":
    sys.exit(main())
