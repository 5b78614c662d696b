"""A replica that is asked for anything, killed at any time and restarted: it never contradicts itself."""

from __future__ import annotations

import os
import shutil
import tempfile
from contextlib import suppress
from pathlib import Path

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from custodes.bft import statements
from custodes.bft.evidence import DOUBLE, EvidencePool, Proof
from custodes.bft.messages import Block, Column, Timeout, Vote
from custodes.bft.safety import Refused, SafetyRules, Ticket, segment
from tests.bft.material import material
from tests.bft.safety.test_filelog import Disk

M = material()
CHAIN = M.chain(12)
GENESIS = statements.genesis_qc(M.team)
QCS = [GENESIS, *(M.qc(block) for block in CHAIN)]
MEMORY = "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
"""Where thousands of small files cost the disk nothing."""


def late(view: int, below: int) -> Block:
    """A block of a view that rests on any earlier certificate."""
    qc = QCS[min(below, view - 1)]
    tc = None if qc.view == view - 1 else M.tc(view - 1, (qc.view, 0, 0))
    return M.block(view, qc, height=qc.view + 1, tc=tc, payload=b"late")


BLOCKS = [*CHAIN, *(late(view, below) for view in range(1, 13) for below in (0, 3, 11))]


class Machine(RuleBasedStateMachine):
    """Requests, kills (with or without what was not synced), losses of the whole log."""

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(dir=MEMORY))
        self.disk = Disk(self.root)
        self.pool = EvidencePool(M.team)
        self.released: list[Vote | Timeout | Column] = []
        self.tickets: list[Ticket] = []
        self.proofs: list[Proof] = []
        self.safety = self._start(create=True)

    def teardown(self) -> None:
        self.disk.kill()
        shutil.rmtree(self.root)

    def _start(self, *, create: bool = False) -> SafetyRules:
        self.tickets = []
        return self.disk.rules(create=create, lease=3, segment_bytes=5000)

    def _publish(self, message: Vote | Timeout | Column) -> None:
        self.released.append(message)
        takes = {Vote: self.pool.vote, Timeout: self.pool.timeout, Column: self.pool.column}
        found = takes[type(message)](message)  # type: ignore[operator]
        if found is not None:
            self.proofs.append(found)

    def _prepared(self, ticket: Ticket) -> None:
        self.tickets.append(ticket)

    @rule(which=st.integers(0, len(BLOCKS) - 1))
    def vote(self, which: int) -> None:
        with suppress(Refused):
            self._prepared(self.safety.prepare_vote(BLOCKS[which]))

    @rule(step=st.integers(0, 3), below=st.integers(0, 12))
    def timeout(self, step: int, below: int) -> None:
        with suppress(Refused):
            view = max(1, self.safety.state.voted_view + step)
            self._prepared(self.safety.prepare_timeout(view, QCS[below], None))

    @rule(batch=st.integers(0, 6), level=st.integers(0, 3))
    def column(self, batch: int, level: int) -> None:
        with suppress(Refused):
            ticket = self.safety.prepare_column(batch=batch, items_digest=bytes(32), severities=bytes([level]))
            self._prepared(ticket)

    @rule()
    def release(self) -> None:
        self.safety.sync()
        for ticket in self.tickets:
            message = self.safety.release(ticket)
            assert isinstance(message, Vote | Timeout | Column)
            self._publish(message)
        self.tickets = []

    @rule(height=st.integers(1, 12))
    def commit(self, height: int) -> None:
        self.safety.committed(height, bytes(32))

    @rule()
    def early(self) -> None:
        for ticket in self.tickets:
            if ticket.sequence > self.disk.open_logs[-1]._synced:
                with suppress(Refused):
                    self.safety.release(ticket)
                    raise AssertionError("signed before it was durable")

    @rule(keep=st.integers(0, 2000))
    def kill(self, keep: int) -> None:
        """Any part of what was not synced survives."""
        before = self.safety.state
        synced = self.disk.open_logs[-1]._synced
        self.disk.kill()
        data = self.disk.segment.read_bytes()
        durable = [entry for entry in segment.scan(data, "").entries if entry.sequence <= synced]
        end = segment.HEADER.size + sum(segment.RECORD.size + len(entry.body) for entry in durable)
        self.disk.segment.write_bytes(data[: end + keep])
        self.safety = self._start()
        assert self.safety.state.abstain_view == before.abstain_view

    @rule()
    def end(self) -> None:
        before = self.safety.state
        self.disk.open_logs[-1].close()
        self.disk.kill()
        self.safety = self._start()
        assert self.safety.state == before

    @rule()
    def lose(self) -> None:
        """The log is gone, the mark is not."""
        views = [message.view for message in self.released if not isinstance(message, Column)]
        self.disk.kill()
        self.disk.segment.unlink()
        self.safety = self._start()
        if views:
            assert self.safety.state.abstain_view >= max(views)

    @invariant()
    def honest(self) -> None:
        assert self.proofs == []

    @invariant()
    def no_two_statements_of_a_kind(self) -> None:
        seen: dict[tuple[str, int], bytes] = {}
        for message in self.released:
            slot = message.batch if isinstance(message, Column) else message.view
            key = (type(message).__name__, slot)
            assert seen.setdefault(key, message.signature) == message.signature

    @invariant()
    def what_was_released_is_remembered(self) -> None:
        state = self.safety.state
        for message in self.released:
            if isinstance(message, Vote):
                assert state.voted_view >= message.view
                assert state.high_view >= message.qc_view
            elif isinstance(message, Timeout):
                assert state.timeout_view >= message.view
                assert state.high_view >= message.high_qc.view
            else:
                assert state.batch >= message.batch


TestMachine = Machine.TestCase
TestMachine.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_the_invariants_would_see_a_lie() -> None:
    """A replica that forgets does contradict itself, and the machine's pool says so."""
    block, other = CHAIN[1], late(2, 0)
    pool = EvidencePool(M.team)
    assert pool.vote(M.vote(block, 0)) is None
    found = pool.vote(M.vote(other, 0))
    assert found is not None
    assert found.kind == DOUBLE[statements.VOTE]
