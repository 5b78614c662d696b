"""Restarts with logs: of one, of all at once, with what the application had applied."""

from __future__ import annotations

from custodes.bft import statements
from custodes.bft.core.events import Deliver, Root
from custodes.bft.messages import Proposal, Timeout, Vote
from custodes.bft.safety.records import AbstainRecord
from tests.bft.core.pump import Pump


def applied(pump: Pump, index: int) -> Root | None:
    if not pump.delivered[index]:
        return None
    block = pump.delivered[index][-1].block
    return Root(block=statements.block_id(pump.team, block), height=block.height, view=block.view)


def signed_once(pump: Pump) -> None:
    """No replica signed two votes, timeouts or proposals for one view, nor a vote after its timeout."""
    said: dict[tuple[int, str, int], object] = {}
    gave_up: dict[int, int] = {}
    for sender, message in pump.sent:
        if isinstance(message, Vote):
            key: tuple[int, str, int] = (sender, "vote", message.view)
            value: object = message.block
            assert message.view > gave_up.get(sender, 0)
        elif isinstance(message, Timeout):
            key, value = (sender, "timeout", message.view), message.high_qc.view
            gave_up[sender] = max(message.view, gave_up.get(sender, 0))
        elif isinstance(message, Proposal):
            key, value = (sender, "proposal", message.block.view), statements.block_id(pump.team, message.block)
        else:
            continue
        assert said.setdefault(key, value) == value


def test_one_restarts_and_goes_on_where_it_was() -> None:
    pump = Pump()
    pump.run(0.505)
    pump.restart(2, applied=applied(pump, 2))
    pump.run(3.0)
    pump.check()
    signed_once(pump)
    assert min(pump.heights()) > 40


def test_one_restarts_from_nothing_applied_and_delivers_all_again() -> None:
    pump = Pump(history=4096)
    pump.run(1.0)
    pump.delivered[3].clear()
    pump.restart(3)
    pump.run(3.0)
    pump.check()
    assert pump.heights()[3] > 50


def test_all_restart_at_once_again_and_again() -> None:
    pump = Pump()
    for round_ in range(8):
        pump.run(0.313 + 0.9 * (round_ % 3))
        for index in range(4):
            pump.restart(index, applied=applied(pump, index))
    pump.run(10.0)
    pump.check()
    signed_once(pump)
    assert min(pump.heights()) > 60


def test_all_restart_after_views_were_given_up() -> None:
    # The views 1 to 5 fail and are known only from timeout certificates; all must come back into them.
    pump = Pump()
    pump.lose = lambda sender, to, message: isinstance(message, Proposal)
    pump.run(20.0)
    views = [replica.view for replica in pump.replicas]
    assert min(views) > 2
    for index in range(4):
        pump.restart(index)
    # One that had signed nothing yet in the last view comes back into the one before.
    assert all(view - 1 <= replica.view <= view for replica, view in zip(pump.replicas, views, strict=True))
    pump.lose = lambda sender, to, message: False
    pump.run(12.0)
    pump.check()
    signed_once(pump)
    assert min(pump.heights()) > 10


def test_a_block_that_only_the_logs_hold_survives_a_restart_of_all() -> None:
    pump = Pump()
    # Votes of view 3 reach nobody but replica 0, which then knows a certificate that nobody else does.
    pump.lose = lambda sender, to, message: sender == 0 or (isinstance(message, Vote) and message.view == 3 and to != 0)
    pump.run(0.065)
    assert pump.replicas[0].high_qc.view == 3
    for index in range(4):
        pump.restart(index, applied=applied(pump, index))
    pump.lose = lambda sender, to, message: False
    pump.run(10.0)
    pump.check()
    signed_once(pump)
    assert min(pump.heights()) > 10


def test_after_a_loss_nothing_is_signed_until_it_is_safe() -> None:
    pump = Pump()
    pump.run(0.5)
    view = pump.replicas[1].view
    pump.logs[1].held = [AbstainRecord(view=view + 20, batch=-1)]
    before = len(pump.sent)
    pump.restart(1, applied=applied(pump, 1))
    pump.run(15.0)
    pump.check()
    own = [message for sender, message in pump.sent[before:] if sender == 1 and isinstance(message, Vote | Timeout)]
    assert own
    assert min(message.view for message in own) > view + 20
    assert pump.heights()[1] >= pump.heights()[0] - 2


def test_delivery_goes_on_after_what_was_applied() -> None:
    pump = Pump()
    pump.run(1.0)
    root = applied(pump, 0)
    assert root is not None
    count = len(pump.delivered[0])
    pump.restart(0, applied=root)
    pump.run(1.0)
    first = pump.delivered[0][count]
    assert isinstance(first, Deliver)
    assert first.block.height == root.height + 1
    assert first.block.parent == root.block
