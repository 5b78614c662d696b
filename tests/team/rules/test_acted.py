from __future__ import annotations

import itertools

import torch

from custodes.env.response.replay import CLEARED, FREE, MASKS, OPEN
from custodes.team.rules.acted import Met, acted_signals, after_all


def met(state: int, held: bool, decision: int, votes: int = 3, malicious: bool = True) -> Met:
    one = torch.tensor
    return Met(
        open=one(state == OPEN),
        cleared=one(state == CLEARED),
        held=one(held),
        decision=one(decision),
        votes=one(votes),
        malicious=one(malicious),
    )


def test_every_decision_in_every_state() -> None:
    for state, held, decision in itertools.product((FREE, OPEN, CLEARED), (False, True), range(4)):
        if held and state != OPEN:
            continue
        got = {name: int(value) for name, value in acted_signals(met(state, held, decision)).items()}
        allowed = MASKS[state][decision]
        begins = decision == 2 and allowed and not held
        assert got == {
            "decision": decision if decision == 3 or (allowed and (begins or (decision == 1 and allowed))) else 0,
            "votes": 3,
            "alert": int(decision in (1, 2) and state == FREE),
            "quarantine": int(begins),
            "block": int(decision == 3),
            "contain": int(begins or decision == 3),
            "contained": int(begins or decision == 3 or held),
            "open": int(state == OPEN),
            "cleared": int(state == CLEARED),
            "harm": int(not (begins or decision == 3 or held)),
        }


def test_whoever_is_gone_is_contained_and_does_nothing() -> None:
    gone, values = torch.tensor([False, True]), torch.tensor([0.5, 0.5])
    assert after_all("contained", values, gone).tolist() == [0.5, 1.0]
    assert after_all("alert", values, gone).tolist() == [0.5, 0.0]
    assert after_all("open", values, gone).tolist() == [0.5, 0.0]
    assert after_all("evidence", values, gone).tolist() == [0.5, 0.5]
