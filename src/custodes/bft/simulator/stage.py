"""Five replicas with four keys, one of them held by twins, that play one view after the other.

The twins (Bano et al. 2020) run the honest program with one key and know nothing of each other: whatever a liar
could do by equivocating or by forgetting, they do. Time stands in for rounds: in each round the network is split in
two, the replicas that are behind give up their views, and what belongs to the round's view is delivered within each
side, until nothing is left to deliver. Messages of the next view wait for the next round's split.
"""

from __future__ import annotations

from collections import deque
from typing import Any, Final, final

from custodes.bft import statements
from custodes.bft.core.config import ReplicaConfig
from custodes.bft.core.events import (
    Action,
    Broadcast,
    Deliver,
    Received,
    Report,
    Send,
    Start,
    Timer,
    TimerFired,
)
from custodes.bft.core.replica import Replica
from custodes.bft.messages import Proposal, Timeout, Vote
from custodes.bft.safety import SafetyRules
from custodes.bft.simulator.apps import Tagged
from custodes.bft.simulator.disk import MemoryLog
from custodes.bft.simulator.keys import make_keys
from custodes.bft.simulator.trace import Said, describe
from custodes.bft.simulator.turns import with_leaders
from custodes.bft.verify import Verifier

KEYS: Final = 4
SLOTS: Final = (0, 0, 1, 2, 3)
"""Key of each of the five replicas; the first two are the twins."""
NAMES: Final = ("0", "0'", "1", "2", "3")
"""How each is called in a trace."""
HONEST_SLOTS: Final = (2, 3, 4)
_ROUND: Final = 1000.0
"""Time between rounds: longer than any timer."""
_TRIES: Final = 3
"""How often replicas that are behind give up their view in one round."""


@final
class Stage:
    """The joint state of the five replicas between two rounds.

    Args:
        leader: Key that leads view 1.
    """

    __slots__ = ("_later", "commits", "fault", "leaders", "lines", "replicas", "round", "votes")

    def __init__(self, leader: int) -> None:
        self.leaders = {1: leader}
        self.round = 0
        self.fault = ""
        self.lines: list[str] | None = None
        self.commits: dict[int, bytes] = {}
        self.votes: dict[tuple[int, int], Any] = {}
        self._later: list[tuple[int, Said]] = []
        keys = make_keys(KEYS, real=False)
        team = with_leaders(keys.team, self.leaders)
        crypto = keys.crypto()
        self.replicas: list[Replica] = []
        for slot, key in enumerate(SLOTS):
            verifier = Verifier(team, crypto)
            safety = SafetyRules(team=team, index=key, signer=keys.signers[key], log=MemoryLog(), verifier=verifier)
            config = ReplicaConfig(index=key, timeout=_ROUND / 4, backoff_cap=0, heartbeat_delay=1.0)
            self.replicas.append(
                Replica(
                    config=config,
                    team=team,
                    safety=safety,
                    crypto=crypto,
                    application=Tagged(b"twin" if slot == 0 else b"%d" % key),
                    verifier=verifier,
                )
            )

    def __getstate__(self) -> tuple[Any, ...]:
        return tuple(getattr(self, name) for name in self.__slots__)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        for name, value in zip(self.__slots__, state, strict=True):
            setattr(self, name, value)

    def play(self, side: int, next_leader: int = 0) -> str:
        """Play the next round.

        Args:
            side: Bit mask of the slots on one side.
            next_leader: Key that leads the view after this round's: a replica that enters it early proposes at once.

        Returns:
            What must never happen and did, or nothing.
        """
        self.round += 1
        self.leaders[self.round + 1] = next_leader
        waiting = deque((sender, message) for sender, message in self._later)
        self._later = []
        if self.round == 1:
            for slot in range(len(SLOTS)):
                self._carry_out(slot, self.replicas[slot].step(Start(), 0.0), waiting)
        else:
            self._give_up(side, waiting)
        self._deliver(side, waiting)
        return self.fault

    def _give_up(self, side: int, waiting: deque[tuple[int, Said]]) -> None:
        """Replicas that have not reached this round's view time out; their timeouts arrive within their side."""
        held, now = list(waiting), self.round * _ROUND
        waiting.clear()
        for _ in range(_TRIES):
            behind = [slot for slot in range(len(SLOTS)) if self.replicas[slot].view < self.round]
            if not behind:
                break
            for slot in behind:
                for _ in range(2):
                    # The first time the replica helps its leader, the second time it gives up.
                    fired = TimerFired(kind=Timer.VIEW, view=self.replicas[slot].view)
                    self._carry_out(slot, self.replicas[slot].step(fired, now), waiting)
            self._deliver(side, waiting)
        waiting.extend(held)

    def _deliver(self, side: int, waiting: deque[tuple[int, Said]]) -> None:
        if self.lines is not None:
            sides = f"{_names(side)} apart from {_names(~side)}"
            self.lines.append(f"view {self.round}: {sides}, key {self.leaders[self.round]} leads")
        now, replicas, top = self.round * _ROUND, self.replicas, self.round
        while waiting and not self.fault:
            sender, message = waiting.popleft()
            if view_of(message) > top:
                self._later.append((sender, message))
                continue
            event = Received(sender=SLOTS[sender % len(SLOTS)], message=message)
            here = side >> (sender % len(SLOTS)) & 1
            target = sender // len(SLOTS) - 1
            for slot in range(len(SLOTS)):
                if side >> slot & 1 == here and SLOTS[slot] != event.sender and target in (-1, SLOTS[slot]):
                    if self.lines is not None:
                        self.lines.append(f"  {NAMES[sender % len(SLOTS)]} -> {NAMES[slot]}  {self._shown(message)}")
                    self._carry_out(slot, replicas[slot].step(event, now), waiting)

    def _shown(self, message: Said) -> str:
        return describe(make_keys(KEYS, real=False).team, message)

    def _carry_out(self, slot: int, actions: list[Action], waiting: deque[tuple[int, Said]]) -> None:
        for action in actions:
            if isinstance(action, Broadcast):
                self._sent(slot, action.message)
                waiting.append((slot, action.message))
            elif isinstance(action, Send):
                waiting.append((slot + len(SLOTS) * (action.to + 1), action.message))
            elif isinstance(action, Deliver):
                self._committed(slot, action)
            elif isinstance(action, Report) and action.proof.culprit != 0:
                self.fault = f"replica {SLOTS[slot]} accuses honest replica {action.proof.culprit}"

    def _sent(self, slot: int, message: Said) -> None:
        """An honest replica votes once per view."""
        if slot >= HONEST_SLOTS[0] and isinstance(message, Vote):
            said = (message.block, message.qc_view, message.tc_high)
            if self.votes.setdefault((slot, message.view), said) != said:
                self.fault = f"replica {SLOTS[slot]} voted twice in view {message.view}"

    def _committed(self, slot: int, deliver: Deliver) -> None:
        if slot < HONEST_SLOTS[0]:
            return
        team = make_keys(KEYS, real=False).team
        name, height = statements.block_id(team, deliver.block), deliver.block.height
        if self.lines is not None:
            self.lines.append(f"  {NAMES[slot]} commits h{height} v{deliver.block.view} {name[:4].hex()}")
        if self.commits.setdefault(height, name) != name:
            self.fault = f"replica {SLOTS[slot]} commits another block at height {height}"


def _names(side: int) -> str:
    return "{" + " ".join(name for slot, name in enumerate(NAMES) if side >> slot & 1) + "}"


def view_of(message: Said) -> int:
    """The view to which a message belongs; 0 for one that belongs to none."""
    if isinstance(message, Vote | Timeout):
        return message.view
    return message.block.view if isinstance(message, Proposal) else 0
