"""Applying committed blocks: after what was to be sent, in order, all of it at the end, nothing after a failure."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path
from typing import Any

from custodes.bft.ballots import decode_payload, encode_payload
from custodes.bft.cluster.applied import Applied
from custodes.bft.cluster.delivery import JOURNAL_BLOCKS, Decided, Delivery
from custodes.bft.cluster.disk import Disk
from custodes.bft.cluster.journal import Journal
from custodes.bft.containment import TimeToLive
from custodes.bft.core.events import Deliver
from custodes.bft.errors import BftError
from tests.bft.material import material

M = material()


@dataclass
class Stage:
    """A delivery on real files, and what it says."""

    journal: Journal
    durable: bool
    told: list[int] = field(default_factory=list)
    forgotten: list[int] = field(default_factory=list)
    failures: list[Exception] = field(default_factory=list)
    refuse: Callable[[Decided], None] = lambda decided: None

    def committed(self, height: int, block: bytes) -> None:
        """In place of `SafetyRules.committed`."""
        assert not self.durable or self.journal.synced >= height
        self.forgotten.append(height)

    def tell(self, decided: Decided) -> None:
        self.refuse(decided)
        self.told.append(decided.root.height)

    def make(self) -> Delivery:
        safety: Any = self
        return Delivery(
            team=M.team,
            read=lambda block: decode_payload(block.payload, M.team.n),
            safety=safety,
            journal=self.journal,
            applied=Applied(TimeToLive()),
            durable=self.durable,
            tell=self.tell,
            failed=self.failures.append,
        )


def deliveries(count: int) -> list[Deliver]:
    blocks = M.chain(count + 1, encode_payload((M.ballot(9),)))
    return [Deliver(block=block, descendants=(child,), qc=M.qc(child)) for block, child in pairwise(blocks)]


def run(stage: Stage, work: Callable[[Delivery, asyncio.AbstractEventLoop], Any], seconds: float = 0.0) -> None:
    async def main() -> None:
        loop = asyncio.get_running_loop()
        disk = Disk(loop, stage.failures.append)
        delivery = stage.make()
        delivery.start(loop, disk)
        work(delivery, loop)
        await asyncio.sleep(seconds)
        disk.close()

    asyncio.run(main())


def test_blocks_are_applied_after_what_was_sent_before(tmp_path: Path) -> None:
    stage = Stage(Journal(tmp_path), durable=False)
    order: list[str] = []
    stage.refuse = lambda decided: order.append(f"told {decided.root.height}")

    def work(delivery: Delivery, loop: asyncio.AbstractEventLoop) -> None:
        for action in deliveries(3):
            delivery.add(action)
        loop.call_soon(order.append, "sent")
        delivery.soon()
        order.append("step over")

    run(stage, work, 0.01)
    assert order == ["step over", "sent", "told 1", "told 2", "told 3"]
    assert stage.told == stage.forgotten == [1, 2, 3]
    assert stage.journal.height == 3
    assert not stage.failures


def test_the_log_keeps_what_the_journals_disk_does_not_hold(tmp_path: Path) -> None:
    stage = Stage(Journal(tmp_path), durable=True)
    actions = deliveries(JOURNAL_BLOCKS + 2)

    def work(delivery: Delivery, loop: asyncio.AbstractEventLoop) -> None:
        for action in actions[:-2]:
            delivery.add(action)
        delivery.soon()
        loop.call_soon(lambda: stage.told.append(-len(stage.forgotten)))
        for action in actions[-2:]:
            loop.call_soon(delivery.add, action)
        loop.call_soon(delivery.soon)

    run(stage, work, 0.5)
    # Too many waited for the timer, so the disk was waited for; the last two had the timer's.
    assert stage.told == [*range(1, JOURNAL_BLOCKS + 1), -1, JOURNAL_BLOCKS + 1, JOURNAL_BLOCKS + 2]
    assert stage.forgotten == [JOURNAL_BLOCKS, JOURNAL_BLOCKS + 2]
    assert not stage.failures


def test_the_end_applies_what_waits_and_nothing_after_it(tmp_path: Path) -> None:
    stage = Stage(Journal(tmp_path), durable=True)

    def work(delivery: Delivery, loop: asyncio.AbstractEventLoop) -> None:
        for action in deliveries(2):
            delivery.add(action)
        delivery.soon()
        delivery.end()
        assert stage.told == [1, 2]

    run(stage, work, 0.1)
    assert stage.told == [1, 2]
    assert stage.journal.height == 2
    assert stage.forgotten == []


def test_after_a_failure_nothing_is_applied(tmp_path: Path) -> None:
    stage = Stage(Journal(tmp_path), durable=False)

    def refuse(decided: Decided) -> None:
        if decided.root.height == 2:
            raise BftError("the reader has gone")

    stage.refuse = refuse

    def work(delivery: Delivery, loop: asyncio.AbstractEventLoop) -> None:
        for action in deliveries(4):
            delivery.add(action)
        delivery.soon()
        loop.call_soon(delivery.drop)
        loop.call_soon(delivery.soon)

    run(stage, work, 0.01)
    assert [str(failure) for failure in stage.failures] == ["the reader has gone"]
    assert stage.told == [1]
