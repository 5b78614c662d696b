"""The defects of the original are named from signals, and each repair takes exactly its own finding away."""

from __future__ import annotations

from pathlib import Path

import pytest

from custodes.data.dataset import Dataset
from custodes.doctor.catalogue import CATALOGUE
from custodes.doctor.origin import DEFECTS, Repairs, examine
from custodes.errors import CustodesError
from tests.doctor.origin.recording import SETTINGS

DOCS = Path(__file__).parents[3] / "docs" / "doctor-origin.md"


def names(recording: Dataset, *repaired: str) -> list[str]:
    done = examine(recording, SETTINGS, Repairs.of(repaired))
    found = [finding.name for finding in done.diagnosis.findings]
    assert len(found) == len(set(found))
    return found


@pytest.fixture(scope="module")
def broken(recording: Dataset) -> list[str]:
    return names(recording)


def test_every_defect_is_a_root_cause(broken: list[str]) -> None:
    assert set(broken) == set(DEFECTS)
    assert broken[0] == "ratio-broadcast"


@pytest.mark.slow
@pytest.mark.parametrize("name", list(DEFECTS))
def test_a_repair_takes_its_own_finding_away(recording: Dataset, broken: list[str], name: str) -> None:
    assert set(names(recording, name)) == set(broken) - {name}


def test_with_all_repaired_nothing_of_them_is_left(recording: Dataset) -> None:
    assert not set(names(recording, *DEFECTS)) & (set(DEFECTS) - {"input-ceiling"})


def test_names_are_those_of_the_catalogue_and_of_the_docs() -> None:
    assert set(DEFECTS) <= set(CATALOGUE)
    text = DOCS.read_text(encoding="utf-8")
    assert [name for name in DEFECTS if f"`{name}`" not in text] == []


def test_an_unknown_defect_is_refused() -> None:
    with pytest.raises(CustodesError, match="--fix: no defect 'nope'; choose one of ratio-broadcast"):
        Repairs.of(["nope"])
