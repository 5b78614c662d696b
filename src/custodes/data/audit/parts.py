"""Checks across the parts of a split: duplicates, rates, thin classes, phases, and the order in time."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.audit.finding import AuditFinding, Severity
from custodes.data.dataset import Dataset
from custodes.data.schema import MALICIOUS, steps_back
from custodes.data.split import PARTS, RATE_TOLERANCE, Split

FEW_THREATS: Final = 50
"""Malicious records of a part under which its scores are mostly chance."""
MANY_DUPLICATES: Final = 0.1
"""Share of a part's records that stand in train too, from which memory pays."""


def duplicates(inputs: NDArray[np.float32], labels: NDArray[np.int8], split: Split) -> list[AuditFinding]:
    """Records of validation and test whose inputs equal those of a training record to the last bit.

    Args:
        inputs: Inputs, float32 [N, D].
        labels: Labels, int8 [N].
        split: Parts of the N records.
    """
    key = pl.DataFrame(inputs).hash_rows()
    train = key.gather(split.rows("train")).unique().implode()
    evidence: dict[str, Any] = {}
    for name in PARTS[1:]:
        rows = split.rows(name)
        held = key.gather(rows).is_in(train).to_numpy()
        threats = labels[rows] == MALICIOUS
        evidence[name] = {
            "records": int(held.sum()),
            "share": float(held.mean()) if len(rows) else 0.0,
            "threats": int((held & threats).sum()),
        }
    worst = max(part["share"] for part in evidence.values())
    if not worst:
        return []
    told = ", ".join(f"{part['share']:.1%} of {name}" for name, part in evidence.items())
    return [
        AuditFinding(
            name="duplicates",
            severity="warning" if worst >= MANY_DUPLICATES else "info",
            what=f"records with exactly the inputs of a training record: {told}",
            evidence=evidence,
        )
    ]


def rate_drift(labels: NDArray[np.int8], split: Split) -> list[AuditFinding]:
    """Threat rates of the parts that lie more than 0.5 points, or a factor of 2, from the training rate.

    Args:
        labels: Labels, int8 [N].
        split: Parts of the N records.
    """
    rates = {name: part["rate"] for name, part in split.summary(labels).items()}
    train = rates["train"] or 0.0
    moved = [
        name
        for name in PARTS[1:]
        if (rate := rates[name]) is not None
        and (abs(rate - train) > RATE_TOLERANCE or not train / 2 <= rate <= train * 2)
    ]
    if not moved:
        return []
    told = ", ".join(f"{name} {rate:.2%}" for name, rate in rates.items() if rate is not None)
    return [
        AuditFinding(
            name="rate-drift",
            severity="warning",
            what=f"the threat rate moves between parts: {told}; tune thresholds on validation and read PR-AUC",
            evidence={"rates": rates, "moved": moved},
        )
    ]


def thin_classes(labels: NDArray[np.int8], split: Split) -> list[AuditFinding]:
    """Parts with fewer than 50 threats, or with no benign record.

    Args:
        labels: Labels, int8 [N].
        split: Parts of the N records.
    """
    findings = []
    for name in PARTS:
        threats, benign = (int(np.sum(labels[split.rows(name)] == label)) for label in (1, 0))
        if threats >= FEW_THREATS and benign:
            continue
        severity: Severity = "warning" if threats and benign else "critical"
        what = f"{name} holds {threats} threats and {benign} benign records: its scores are mostly chance"
        evidence = {"part": name, "threats": threats, "benign": benign}
        findings.append(AuditFinding(name="thin-class", severity=severity, what=what, evidence=evidence))
    return findings


def phases(events: pl.DataFrame, split: Split) -> list[AuditFinding]:
    """Attack phases whose malicious records stand in one part only, or never in train.

    Args:
        events: Event table, N rows.
        split: Parts of the N records.
    """
    threats = events.select("phase", "label").with_columns(part=pl.Series(split.part))
    threats = threats.filter((pl.col("label") == MALICIOUS) & (pl.col("phase") != "") & (pl.col("part") >= 0))
    counts: dict[str, dict[str, int]] = {}
    for phase, part, rows in threats.group_by("phase", "part").len().sort("phase", "part").iter_rows():
        counts.setdefault(phase, dict.fromkeys(PARTS, 0))[PARTS[part]] = rows
    alone = sorted(phase for phase, parts in counts.items() if sum(rows > 0 for rows in parts.values()) == 1)
    unseen = sorted(phase for phase, parts in counts.items() if not parts["train"])
    if not alone and not unseen:
        return []
    told = f"phases in one part only: {', '.join(alone) or 'none'}; never in train: {', '.join(unseen) or 'none'}"
    evidence = {"phases": counts, "alone": alone, "unseen": unseen}
    return [AuditFinding(name="phases", severity="warning", what=told, evidence=evidence)]


def disorder(dataset: Dataset) -> list[AuditFinding]:
    """Records without a time, or whose time lies before the last known one of their stream."""
    back = int(steps_back(dataset.events, {}).sum())
    unknown = int((dataset.events["time"] == 0).sum())
    if not back and not unknown:
        return []
    order = "the source declares recorded order" if dataset.recorded_order else "the source declares no recorded order"
    return [
        AuditFinding(
            name="time-order",
            severity="info" if dataset.recorded_order else "warning",
            what=f"{back} records step back in time and {unknown} carry none; {order}",
            evidence={
                "back": back,
                "unknown": unknown,
                "records": len(dataset),
                "recorded_order": dataset.recorded_order,
            },
        )
    ]
