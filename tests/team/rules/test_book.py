from __future__ import annotations

from pathlib import Path

import pytest

from custodes.errors import CustodesError
from custodes.team.rules.book import DEFAULT, book_of, check_signals, read_book
from custodes.team.rules.signals import SIGNALS
from tests.team.rules.stages import book


def one(formula: str, more: str = "", head: str = "") -> str:
    return f'{head}\n[[spec]]\nname = "r"\nformula = "{formula}"\n{more}\n'


def test_rules_are_taken_apart() -> None:
    spared, in_time, known, few, together, calm = book().rules
    assert (spared.horizon, spared.delay, spared.joint, spared.label) == (None, 0, False, True)
    assert (in_time.horizon, in_time.delay, in_time.duty) == (3, 3, None)
    assert (known.horizon, known.delay, known.label) == (0, 0, False)
    assert few.signals == ("alert",)
    assert together.joint
    assert calm.duty is not None
    assert (calm.horizon, calm.delay) == (2, 0)
    wanted = {"alert", "contain", "contained", "event", "evidence", "first", "innocent", "turned", "votes"}
    assert set(book().signals) == wanted


def test_a_rule_without_a_condition_is_asked_everywhere() -> None:
    (rule,) = book_of(one("always (alerts_recent <= 5)")).rules
    assert str(rule.condition.value) == "True"  # type: ignore[union-attr]
    assert rule.consequence == rule.body


@pytest.mark.parametrize(
    ("text", "says"),
    [
        (one("always (threat -> contained)"), r"reads the true label \(threat\); add \"label\" to its tags"),
        (one("eventually contained"), "asked of every event"),
        (one("always (eventually[0:2] alert -> contained)"), "condition looks ahead"),
        (one("always (alert -> eventually[0:5s] contained)"), "bounds are in units of time"),
        (one("always (contained", ""), "r, line 1|rules, "),
        (one("always true"), "it reads no signal"),
        (one("always alert", head='period = "1s"'), "count a process's events, and no time"),
        (one("always alert", head='end = "interval"'), "would judge what is not known yet"),
        ("nonsense = ", "no TOML"),
    ],
)
def test_what_no_team_can_be_held_to_is_refused_in_one_line(text: str, says: str) -> None:
    with pytest.raises(CustodesError, match=says) as caught:
        book_of(text)
    assert "\n" not in str(caught.value)


def test_unknown_signals_are_named() -> None:
    with pytest.raises(CustodesError, match=r"rule 'r': there is no signal 'contaned'; did you mean 'contain"):
        check_signals(book_of(one("always (alert -> contaned)")), SIGNALS)


def test_files_are_read_and_refused(tmp_path: Path) -> None:
    file = tmp_path / "rules.toml"
    file.write_text(one("always (alert -> contained)"), encoding="utf-8")
    assert read_book(str(file)).rules[0].name == "r"
    file.write_bytes(b"\xff")
    with pytest.raises(CustodesError, match="byte 0 is not UTF-8"):
        read_book(str(file))
    with pytest.raises(CustodesError, match="cannot read it: no such file"):
        read_book(str(tmp_path / "none.toml"))


def test_the_shipped_rules_fit_and_say_why() -> None:
    shipped = read_book(DEFAULT)
    check_signals(shipped, SIGNALS)
    for rule in shipped.rules:
        assert " Why: " in rule.spec.description
        assert 0 < rule.allowed <= 0.05
        if "hard" in rule.spec.tags:
            assert not rule.label
            assert rule.delay == 0
