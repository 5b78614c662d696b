"""docs/run-folder.md against the schema, docs/byzantine.md against the attacks."""

from __future__ import annotations

import re
from pathlib import Path

import msgspec

from custodes.bft.attacks import ATTACKS
from custodes.evaluate.byzantine.refused import RULES
from custodes.evaluate.byzantine.schema import AttackFigures, AttackRow, ByzantineRecord

DOCS = Path(__file__).parents[3] / "docs"


def test_every_key_of_the_record_is_documented_and_nothing_else() -> None:
    text = (DOCS / "run-folder.md").read_text(encoding="utf-8")
    section = re.search(r"^## The bft record\n(.*?)(?=^## )", text, re.MULTILINE | re.DOTALL)
    assert section is not None
    cells = re.findall(r"^\| (`[^|]*`) \|", section[1], re.MULTILINE)
    told = {key for cell in cells for key in re.findall(r"`([^`]+)`", cell)}
    kinds = (ByzantineRecord, AttackRow, AttackFigures)
    assert told == {field.name for kind in kinds for field in msgspec.structs.fields(kind)}


def test_every_attack_and_rule_is_named() -> None:
    text = (DOCS / "byzantine.md").read_text(encoding="utf-8")
    for name in (*ATTACKS, *RULES):
        assert f"`{name}`" in text, name
