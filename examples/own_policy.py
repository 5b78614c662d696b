"""Score a policy of your own in the response task, beside ours: `python examples/own_policy.py`.

A policy is one function. It sees the recording, with the labels of the period before the part that counts and none
after, and says an action for each event of the part: 0 Allow, 1 Alert, 2 Quarantine, 3 Block (docs/response.md). Here
it is naive Bayes over kinds of events, averaged along a process's life; nothing of it knows custodes but the tuning.
"""

from __future__ import annotations

import os

import numpy as np
import polars as pl

from custodes.data.config import DataConfig
from custodes.data.synthetic.config import SyntheticConfig
from custodes.env.triage import TriageConfig
from custodes.evaluate.response.inputs import PolicyInputs
from custodes.evaluate.response.policy import score_policy
from custodes.evaluate.response.thresholds import tune
from custodes.team.config import TeamConfig
from custodes.team.workload import prepare


def policy(inputs: PolicyInputs) -> np.ndarray:
    """Act where the evidence that a process has gathered so far reaches thresholds tuned on the training period."""
    known = inputs.known()
    table = pl.DataFrame({"kind": inputs.events["kind"].gather(known), "label": inputs.labels[known]})
    counts = table.group_by("kind").agg(bad=(pl.col("label") == 1).sum(), good=(pl.col("label") == 0).sum())
    counts = counts.with_columns(
        evidence=((pl.col("bad") + 1) / pl.col("bad").sum()).log() - ((pl.col("good") + 1) / pl.col("good").sum()).log()
    )
    events = inputs.events.join(counts, on="kind", how="left", maintain_order="left")
    # Running mean over the last eight events of the process: earlier rows only, as a policy must.
    evidence = pl.col("evidence").fill_null(0.0).rolling_mean(8, min_samples=1).over("stream", "entity")
    score = events.select(evidence)["evidence"].to_numpy()
    thresholds, _ = tune(inputs.rehearsal, score[inputs.train])
    return thresholds.decide(score[inputs.scored])


def main() -> None:
    """Make a small recording, let the policy act on its test part, and show what came of it."""
    events = int(os.environ.get("CUSTODES_EXAMPLE_EVENTS", "60000"))
    workload = prepare(
        DataConfig(
            source="synthetic",
            split="entity",
            synthetic=SyntheticConfig(hosts=8, processes=events // 375, events=events),
        ),
        TriageConfig(lanes="by_entity"),
        TeamConfig(),
    )
    result = score_policy(workload, policy, baselines=("alert-all", "block-all", "event-kind", "oracle"))
    rows = {"own": result.record, **{name: row["response"] for name, row in result.baselines.items()}}
    for name, row in rows.items():
        print(
            f"{name:<11} score {row.score:6.3f}  malicious prevented {row.malicious_prevented:4d}  "
            f"false containments {row.false_containments:3d}  alerts per hour {row.alerts_per_hour:5.2f}"
        )


if __name__ == "__main__":
    main()
