"""docs/doctor.md names every finding and every fault, in the code's order."""

from __future__ import annotations

import re
from pathlib import Path

from custodes.doctor import CATALOGUE
from custodes.doctor.faults import FAULTS

DOCS = (Path(__file__).parents[2] / "docs" / "doctor.md").read_text(encoding="utf-8")


def names(heading: str) -> list[str]:
    """First cells of the tables below a heading."""
    _, _, below = DOCS.partition(f"## {heading}\n")
    section = re.split(r"^## ", below, maxsplit=1, flags=re.MULTILINE)[0]
    return re.findall(r"^\| `([\w-]+)` \|", section, flags=re.MULTILINE)


def test_every_finding_is_documented_in_the_order_of_root_causes() -> None:
    assert names("What it finds") == list(CATALOGUE)


def test_every_fault_is_documented() -> None:
    assert names("Defects to put in") == list(FAULTS)


def test_each_fault_names_its_finding() -> None:
    for fault in FAULTS.values():
        assert re.search(rf"^\| `{fault.name}` \|.*\| `{fault.finds}` \|$", DOCS, flags=re.MULTILINE), fault.name
