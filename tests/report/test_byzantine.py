"""The attack table of the page: there when there is one, with its figures."""

from __future__ import annotations

from pathlib import Path

import msgspec
import numpy as np
import pytest
from numpy.typing import NDArray

from custodes.evaluate.byzantine.gauge import ResponseGauge
from custodes.evaluate.byzantine.schema import ByzantineRecord
from custodes.evaluate.byzantine.table import attack_table
from custodes.evaluate.evaluation import Evaluation, decode_evaluation, encode_evaluation
from custodes.report import write_report
from custodes.report.byzantine import byzantine_of
from tests.evaluate.byzantine.test_table import CITY, PART, ballots
from tests.report.responses import make_responding_run, responding
from tests.report.runs import evaluation
from tests.report.test_page import Balance
from tests.report.test_rules import KEPT


@pytest.fixture(scope="module")
def attacked() -> Evaluation:
    gauge = ResponseGauge(PART, CITY.costs)
    table = attack_table(ballots(), gauge, attacks=("flip", "always-block"), counts=(0, 1, 2))
    record = ByzantineRecord(
        n=4,
        f=1,
        byzantine=1,
        attack="flip",
        agreement=0.75,
        false_containment_rate=0.1,
        suppression_rate=None,
        table=table,
        notes=("the traitor <was> trained",),
    )
    return msgspec.structs.replace(responding(), bft=record)


def test_the_section_is_well_formed_and_holds_the_figures(attacked: Evaluation, tmp_path: Path) -> None:
    page = write_report(make_responding_run(tmp_path / "run", attacked)).read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert len(parser.ids) == len(set(parser.ids))
    assert attacked.bft is not None
    worst = next(row for row in attacked.bft.table if (row.rule, row.attack, row.byzantine) == ("severity", "flip", 2))
    for text in (f"{worst.worst.score:.3f}", "flip (beyond f)", "score, plurality", "the same on 75.0%", "nobody",
                 "The traitor &lt;was&gt; trained."):  # fmt: skip
        assert text in page, text
    section = byzantine_of(attacked)
    assert section is not None
    assert [(line.name, line.beyond) for line in section.lines] == [
        ("none", False), ("flip", False), ("always-block", False), ("flip", True), ("always-block", True)
    ]  # fmt: skip
    assert len(section.sentences) == 3


def judged_shares(decisions: NDArray[np.int8]) -> dict[str, float | None]:
    """Made-up rules: one is kept the less the more is contained, one has no window."""
    contained = float((decisions[:, 0] >= 2).mean())
    return {"calm": 1.0 - contained, "always": 1.0, "silent": None}


def test_rules_stand_beside_the_attacks_that_break_them(attacked: Evaluation, tmp_path: Path) -> None:
    gauge = ResponseGauge(PART, CITY.costs, judged_shares)
    table = attack_table(ballots(), gauge, attacks=("flip", "always-block"), counts=(1, 2))
    assert attacked.bft is not None
    clean = next(row for row in table if row.rule == "severity" and row.attack is None).worst.stl
    assert clean is not None
    calm = clean["calm"]
    assert calm is not None
    # Exactly what the clean team reaches is wanted, so that it and nobody worse is marked.
    record = msgspec.structs.replace(KEPT, allowed=1.0 - calm)
    broken = msgspec.structs.replace(
        attacked, bft=msgspec.structs.replace(attacked.bft, table=table), stl={"calm": record, "always": KEPT}
    )
    section = byzantine_of(broken)
    assert section is not None
    assert section.rule_heads == ("calm", "always", "silent")
    assert section.rule_wanted == (f"{calm:.3f}", "0.950", "n/a")
    assert [(line.name, line.liars, line.beyond) for line in section.held] == [
        ("none", 0, False), ("flip", 1, False), ("always-block", 1, False), ("flip", 2, True), ("always-block", 2, True)
    ]  # fmt: skip
    assert section.held[0].cells == ((f"{calm:.3f}", True), ("1.000", True), ("n/a", False))
    # Two of four that always block quarantine everything.
    assert section.held[-1].cells[0] == ("0.000", False)
    page = write_report(make_responding_run(tmp_path / "run", broken)).read_text(encoding="utf-8")
    parser = Balance()
    parser.feed(page)
    assert parser.open == []
    assert "<caption>Rules under attack" in page
    assert '<th scope="row">always-block (beyond f)</th><td>2</td><td>0.000</td><td class="hit">1.000</td>' in page


def test_without_rules_the_second_table_is_not_there(attacked: Evaluation, tmp_path: Path) -> None:
    section = byzantine_of(attacked)
    assert section is not None
    assert (section.rule_heads, section.held) == ((), ())
    assert "Rules under attack" not in write_report(make_responding_run(tmp_path / "run", attacked)).read_text()


def test_without_an_attack_it_says_how_to_get_one(attacked: Evaluation, tmp_path: Path) -> None:
    assert attacked.bft is not None
    calm = msgspec.structs.replace(attacked, bft=msgspec.structs.replace(attacked.bft, table=(), notes=()))
    page = write_report(make_responding_run(tmp_path / "run", calm)).read_text(encoding="utf-8")
    assert "custodes evaluate --attack all" in page
    assert "Attacks by lying agents" not in page


def test_older_records_have_no_section(tmp_path: Path) -> None:
    plain = decode_evaluation(evaluation("test", ("allow",)))
    assert byzantine_of(plain) is None
    page = write_report(make_responding_run(tmp_path / "run", plain)).read_text(encoding="utf-8")
    assert "what some agents achieve" not in page


def test_the_record_survives_its_file(attacked: Evaluation) -> None:
    assert decode_evaluation(encode_evaluation(attacked)) == attacked
