"""What a record of a rule says by itself."""

from __future__ import annotations

import msgspec
import pytest

from custodes.evaluate.rules.schema import SpecEvidence, SpecRecord

WINDOWS, NONE = SpecEvidence(triggered=9, satisfied_rate=0.5), SpecEvidence(triggered=0, satisfied_rate=None)
SILENT = SpecRecord(
    feasible=False,
    triggered=0,
    satisfied=0,
    satisfied_rate=None,
    robustness_min=None,
    robustness_mean=None,
    allowed=0.05,
    processes=0,
    label=False,
    evidence={"oracle": NONE},
)


@pytest.mark.parametrize(
    ("changes", "kept"),
    [
        ({}, None),
        ({"feasible": True}, True),
        ({"evidence": {"oracle": NONE, "allow": WINDOWS}}, False),
        ({"triggered": 3, "satisfied": 1, "satisfied_rate": 1 / 3}, False),
    ],
)
def test_a_rule_that_nobody_triggered_is_not_called_infeasible(changes: dict[str, object], kept: bool | None) -> None:
    assert msgspec.structs.replace(SILENT, **changes).can_be_kept() is kept
