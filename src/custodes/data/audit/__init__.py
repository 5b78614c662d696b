"""What a reader of scores should know about the data before believing them."""

from __future__ import annotations

from custodes.data.audit.columns import constant_columns, label_columns
from custodes.data.audit.finding import SEVERITIES, AuditFinding, Severity
from custodes.data.audit.parts import disorder, duplicates, phases, rate_drift, thin_classes
from custodes.data.audit.trees import tree_scores
from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset
from custodes.data.features import Encoder
from custodes.data.split import Split

__all__ = ["SEVERITIES", "AuditFinding", "Severity", "audit"]


def audit(
    dataset: Dataset, split: Split, config: DataConfig, *, trees: bool = True, seed: int = 0
) -> tuple[AuditFinding, ...]:
    """Look for what weakens a score on this data: leaks, duplicates, drift, thin classes, disorder, and how easy it is.

    Args:
        dataset: Events, N rows.
        split: Parts of the N rows.
        config: Settings of the inputs; the encoder is fitted on train with them.
        trees: Fit boosted trees too, which takes most of the time.
        seed: Draws the rows for the trees and seeds them, at least 0.

    Returns:
        Findings, the gravest first; the same for the same arguments.

    Raises:
        CustodesError: The settings do not fit the data.
    """
    encoder = Encoder.fit(dataset, split.rows("train"), config)
    inputs = encoder.transform(dataset)
    events, labels = dataset.events, dataset.labels
    findings = [
        *constant_columns(events, (*config.columns, *config.groups)),
        *label_columns(events, labels, encoder),
        *duplicates(inputs, labels, split),
        *rate_drift(labels, split),
        *thin_classes(labels, split),
        *phases(events, split),
        *disorder(dataset),
        *([tree_scores(dataset, split, encoder, inputs, seed)] if trees else []),
    ]
    return tuple(sorted(findings, key=lambda finding: SEVERITIES.index(finding.severity)))
