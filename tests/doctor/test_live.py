"""The doctor at a training's side: each thing is told once."""

from __future__ import annotations

from typing import Any

from custodes.doctor import Facts
from custodes.doctor.live import Live

FACTS = Facts(agents=4, tolerated=1, per_iteration=100)


def line(iteration: int, elements: float = 1.0) -> dict[str, Any]:
    counts = {"tp": 5, "fp": 5, "tn": 85, "fn": 5}
    return {"iteration": iteration, "ratio_error": 0.0, "ratio_elements": elements, "value_loss": 1.0, **counts}


def test_a_new_finding_is_told_once_with_its_onset() -> None:
    live = Live(FACTS)
    assert [live.add(line(i)) for i in (1, 2)] == [[], []]
    (found,) = live.add(line(3, 64.0))
    assert (found.name, found.iteration) == ("ratio-broadcast", 3)
    assert [live.add(line(i, 64.0)) for i in range(4, 10)] == [[]] * 6


def test_it_looks_less_often_as_a_run_grows_but_at_the_end() -> None:
    live, looked = Live(FACTS), []
    for i in range(1, 101):
        before = live._next
        live.add(line(i))
        if live._next != before:
            looked.append(i)
    assert looked[:6] == [1, 2, 3, 4, 6, 8]
    assert len(looked) < 20
    assert live.add(line(101, 64.0), last=True)


def test_a_resumed_run_tells_nothing_twice() -> None:
    live = Live(FACTS, [line(1, 64.0), line(2, 64.0)])
    assert live.add(line(3, 64.0)) == []
