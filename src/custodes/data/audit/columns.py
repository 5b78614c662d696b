"""Checks of columns: which hold one value, and which give the label away."""

from __future__ import annotations

from typing import Final

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.data.audit.finding import AuditFinding, Severity
from custodes.data.features import Encoder
from custodes.data.schema import EVENT_SCHEMA, PART

BINS: Final = 64
"""Quantiles into which a number with many values is divided."""
WORDS: Final = 256
"""Most frequent values of a column that count as themselves; the rest count as one."""
DETERMINED: Final = 0.8
"""Share of the label's entropy from which a column determines the label."""
TELLING: Final = 0.5
"""Share of the label's entropy from which a column is worth a warning."""

_TEXTS: Final = (
    "channel",
    "kind",
    "object_kind",
    "image",
    "parent_image",
    "object",
    "stream",
    "entity",
    "phase",
)
_BY_NATURE: Final = ("entity", "phase")
"""Columns that follow the label by their nature: a phase names the attack, and few processes attack."""
_GROUPS: Final = {"channel": ("channel", "counts"), "kind": ("kind", "novelty"), "object_kind": ("object_kind",)}


def constant_columns(events: pl.DataFrame, configured: tuple[str, ...]) -> list[AuditFinding]:
    """Columns that hold one value in every row; such a column says nothing.

    Args:
        events: Event table, N rows.
        configured: Columns that the settings ask for by name.
    """
    constant = [name for name in events.columns if events[name].n_unique() <= 1]
    if not constant:
        return []
    asked = [name for name in constant if name in configured]
    told = f"{', '.join(asked)} asked for as input" if asked else "none of them an input"
    return [
        AuditFinding(
            name="constant-columns",
            severity="warning" if asked else "info",
            what=f"{len(constant)} of {events.width} columns hold one value, {told}",
            evidence={"columns": constant, "inputs": asked},
        )
    ]


def label_columns(events: pl.DataFrame, labels: NDArray[np.int8], encoder: Encoder) -> list[AuditFinding]:
    """Columns that determine the label: mutual information over the label's entropy.

    The plug-in estimate carries a bias of (values - 1)(labels - 1) / 2N nats (Miller 1955), which is taken off.

    Args:
        events: Event table, N rows.
        labels: Labels, int8 [N]; rows labelled neither 0 nor 1 are left out.
        encoder: Encoder of the run; what it reads is an input.
    """
    scored = np.isin(labels, (0, 1))
    truth = labels[scored].astype(np.int64)
    if not len(truth) or truth.min() == truth.max():
        return []
    shares = {name: information_share(_bins(events[name].filter(scored)), truth) for name in _candidates(events)}
    ranked = dict(sorted(shares.items(), key=lambda item: (-item[1], item[0])))
    findings = [
        _determined(name, share, _is_input(name, encoder)) for name, share in ranked.items() if share >= TELLING
    ]
    told = [item for item in ranked.items() if item[0] not in _BY_NATURE][:3]
    top = ", ".join(f"{name} {share:.2f}" for name, share in told)
    findings.append(
        AuditFinding(
            name="label-information",
            severity="info",
            what=f"columns that tell most about the label, as a share of its entropy: {top}",
            evidence={"shares": ranked},
        )
    )
    return findings


def information_share(values: NDArray[np.int64], labels: NDArray[np.int64]) -> float:
    """Mutual information of a column and the label over the label's entropy, in [0, 1], corrected for its bias.

    Args:
        values: Bin of each row, int64 [N], at least 0.
        labels: Label of each row, int64 [N], 0 or 1, both present.
    """
    joint = np.zeros((int(values.max()) + 1, 2))
    np.add.at(joint, (values, labels), 1)
    joint = joint[joint.sum(axis=1) > 0] / len(labels)
    margin, label = joint.sum(axis=1, keepdims=True), joint.sum(axis=0, keepdims=True)
    ratio = np.divide(joint, margin * label, out=np.ones_like(joint), where=joint > 0)
    bias = (len(joint) - 1) / (2 * len(labels))
    entropy = -float(np.sum(label * np.log(label)))
    return float(np.clip((np.sum(joint * np.log(ratio)) - bias) / entropy, 0.0, 1.0))


def _candidates(events: pl.DataFrame) -> list[str]:
    numbers = [n for n, kind in events.schema.items() if kind.is_numeric() and n not in ("time", "label", PART)]
    return [name for name in (*_TEXTS, *numbers) if events[name].n_unique() > 1]


def _bins(column: pl.Series) -> NDArray[np.int64]:
    """Bin of each row: its value where the values are few or the value is frequent, else its quantile."""
    counts = column.rename("value").value_counts(name="rows")
    # Equally frequent values stand in the order of the values: the finding is the same on every run.
    top = counts.sort(["rows", "value"], descending=[True, False]).head(WORDS)["value"]
    places = column.replace_strict(top, pl.arange(len(top), eager=True), default=None, return_dtype=pl.Int64)
    rest = places.is_null().to_numpy()
    bins = places.fill_null(len(top)).to_numpy().copy()
    if column.name not in EVENT_SCHEMA or column.name == "size":
        numbers = column.cast(pl.Float64).to_numpy()[rest]
        if len(numbers):
            edges = np.unique(np.quantile(numbers, np.linspace(0, 1, BINS + 1)[1:-1]))
            bins[rest] = len(top) + np.searchsorted(edges, numbers, side="right")
    return bins


def _is_input(name: str, encoder: Encoder) -> bool:
    groups = {column.group for column in encoder.columns}
    if name in ("image", "parent_image"):
        return "names" in groups
    if name in _GROUPS:
        return bool(groups.intersection(_GROUPS[name]))
    return name in encoder.numeric or (name == "size" and "size" in groups)


def _determined(name: str, share: float, is_input: bool) -> AuditFinding:
    verb = "determines" if share >= DETERMINED else "tells much of"
    if is_input:
        told = "is an input: scores measure that rule"
        severity: Severity = "critical" if share >= DETERMINED else "warning"
    elif name in _BY_NATURE:
        told, severity = "is never an input", "info"
    else:
        told, severity = "is no input of this run: keep it out", "warning"
    return AuditFinding(
        name="label-determined",
        severity=severity,
        what=f"column {name} {verb} the label ({share:.2f} of its entropy) and {told}",
        evidence={"column": name, "share": share, "input": is_input},
    )
