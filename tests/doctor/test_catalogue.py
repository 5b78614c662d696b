"""The catalogue: names that others rely on, and an order without circles."""

from __future__ import annotations

import pytest

from custodes.doctor.catalogue import CATALOGUE

PROMISED = (
    "ratio-broadcast",
    "return-unpredictable",
    "start-state-mismatch",
    "input-ceiling",
    "consensus-f0",
    "spec-always-violated",
    "label-is-a-rule",
    "metric-window",
)


@pytest.mark.parametrize("name", PROMISED)
def test_a_promised_name_is_there(name: str) -> None:
    assert name in CATALOGUE


def test_only_known_names_are_explained() -> None:
    assert {other for entry in CATALOGUE.values() for other in entry.explains} <= set(CATALOGUE)


def test_nothing_explains_itself() -> None:
    def reached(name: str, above: tuple[str, ...] = ()) -> None:
        assert name not in above, " -> ".join((*above, name))
        for other in CATALOGUE[name].explains:
            reached(other, (*above, name))

    for name in CATALOGUE:
        reached(name)
