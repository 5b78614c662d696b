"""Blocks are committed, with silent leaders, after losses and by replicas that lag."""

from __future__ import annotations

import pytest

from custodes.bft.evidence import Proof
from custodes.bft.messages import Fetch, Message, Proposal, Timeout, Vote
from tests.bft.core.pump import Numbers, Pump


def test_all_commit_the_same_blocks_in_order() -> None:
    pump = Pump()
    pump.run(2.0)
    pump.check()
    # A block takes two message delays of 0.01 s; the last two are not committed yet.
    assert min(pump.heights()) >= 90
    assert not pump.refused
    assert not pump.reports


@pytest.mark.parametrize(
    ("n", "silent", "least"),
    [(4, [2], 20), (7, [1, 4], 10), (7, [2, 3], 10), (7, [5, 6], 10), (5, [0], 20), (6, [3], 20)],
)
def test_silent_leaders_do_not_stop_the_others(n: int, silent: list[int], least: int) -> None:
    pump = Pump(n, silent=silent)
    pump.run(30.0)
    pump.check()
    assert min(height for index, height in enumerate(pump.heights()) if index not in silent) >= least
    assert not pump.refused


def test_more_than_f_silent_replicas_stop_everything_and_their_return_restarts_it() -> None:
    pump = Pump(silent=[2, 3])
    pump.run(20.0)
    assert pump.heights() == [0, 0, 0, 0]
    pump.silent.clear()
    for index in (2, 3):
        pump.restart(index)
    pump.run(12.0)
    pump.check()
    assert min(pump.heights()) > 10


def test_lost_timeout_certificate_does_not_wedge() -> None:
    # Replica 0 alone forms the certificate of the first view: nobody else gets a quorum of timeouts.
    pump = Pump(silent=[1])
    pump.lose = lambda sender, to, message: isinstance(message, Timeout) and to != 0 and pump.now < 1.5
    pump.run(1.4)
    assert [pump.replicas[i].view for i in (0, 2, 3)] == [2, 1, 1]
    pump.lose = lambda sender, to, message: False
    pump.run(8.0)
    pump.check()
    assert min(pump.heights()[i] for i in (0, 2, 3)) > 5


def test_everything_lost_for_a_while() -> None:
    pump = Pump(backoff_cap=2)
    pump.run(0.5)
    pump.lose = lambda sender, to, message: True
    pump.run(20.0)
    before = pump.heights()
    pump.lose = lambda sender, to, message: False
    pump.run((4 + 3) * (4.0 + 0.02))
    pump.check()
    assert all(after > first + 20 for after, first in zip(pump.heights(), before, strict=True))


def test_leader_that_a_liar_kept_from_the_certificate_is_helped() -> None:
    # The votes of view 1 reach everyone but the leader of view 2.
    pump = Pump()
    pump.lose = lambda sender, to, message: isinstance(message, Vote) and message.view == 1 and to == 2
    pump.run(0.7)
    assert min(pump.heights()) > 5
    assert not any(isinstance(message, Timeout) for _, message in pump.sent)


def test_lagging_replica_fetches_and_commits_all() -> None:
    pump = Pump(fetch_batch=8)
    pump.run(0.3)
    pump.lose = lambda sender, to, message: to == 3
    pump.run(3.0)
    assert pump.heights()[3] < pump.heights()[0] - 5
    pump.lose = lambda sender, to, message: False
    pump.run(3.0)
    pump.check()
    assert pump.heights()[3] >= pump.heights()[0] - 2
    assert pump.replicas[3].sizes()["orphans"] == 0


def test_replica_far_behind_catches_up_in_legs() -> None:
    pump = Pump(fetch_batch=4, orphans=16, history=4096)
    pump.lose = lambda sender, to, message: to == 3
    pump.run(30.0)
    behind = pump.heights()[0]
    assert behind > 80
    pump.lose = lambda sender, to, message: False
    for _ in range(40):
        pump.run(0.5)
        assert pump.replicas[3].sizes()["orphans"] <= 16
    pump.check()
    assert pump.heights()[3] > behind


def test_fetch_turns_to_another_signer_when_one_is_silent() -> None:
    pump = Pump()
    pump.lose = lambda sender, to, message: to == 3 or (isinstance(message, Fetch) and to == 0)
    pump.run(3.0)
    pump.lose = lambda sender, to, message: isinstance(message, Fetch) and to == 0
    pump.run(6.0)
    pump.check()
    assert pump.heights()[3] >= pump.heights()[0] - 2


def test_lost_proposals_are_fetched_and_committed_in_order() -> None:
    # Replica 3 gets no proposal of every second view; the ancestors come late and out of order.
    def lose(sender: int, to: int, message: Message | Proof) -> bool:
        return to == 3 and isinstance(message, Proposal) and message.block.view % 2 == 0

    pump = Pump()
    pump.lose = lose
    pump.run(2.0)
    pump.check()
    assert pump.heights()[3] >= pump.heights()[0] - 4


def test_views_rest_without_heartbeat_and_work_wakes_them() -> None:
    pump = Pump(heartbeat=False, application=lambda index: Numbers(blocks=3))
    pump.run(5.0)
    assert min(pump.heights()) >= 3
    sent = len(pump.sent)
    pump.run(60.0)
    assert len(pump.sent) == sent
    for app in pump.apps:
        assert isinstance(app, Numbers)
        app.blocks = app.height + 3
    leader = pump.replicas[0].view % 4
    pump.submit(leader, None)
    pump.run(5.0)
    pump.check()
    assert sum(bool(each.block.payload) for each in pump.delivered[0]) >= 4


def test_heartbeat_commits_empty_blocks() -> None:
    pump = Pump(application=lambda index: Numbers(blocks=0))
    pump.run(2.0)
    pump.check()
    assert 15 < min(pump.heights()) < 60


def test_deferred_signatures_agree_as_well() -> None:
    pump = Pump(deferred=True)
    pump.run(2.0)
    pump.check()
    assert min(pump.heights()) > 50


def test_same_events_give_same_actions() -> None:
    def trace() -> list[tuple[float, int, object]]:
        pump = Pump()
        pump.lose = lambda sender, to, message: (sender + to + int(pump.now * 97)) % 5 == 0
        pump.run(8.0)
        pump.check()
        return list(pump.trace)

    first = trace()
    assert len(first) > 200
    assert first == trace()


def test_time_of_a_view_doubles_while_views_fail_and_falls_back_after_a_commit() -> None:
    pump = Pump(silent=[2, 3], backoff_cap=3)
    # With a quorum of silent ones no view ends; with one silent one every fourth does not.
    pump = Pump(silent=[1], backoff_cap=3)
    starts: dict[int, float] = {}
    for _ in range(1000):
        pump.run(0.01)
        starts.setdefault(pump.replicas[0].view, pump.now)
    assert starts[2] - starts[1] == pytest.approx(1.0, abs=0.1)
    failed = [starts[view + 1] - starts[view] for view in (5, 9, 13) if view + 1 in starts]
    assert failed
    assert all(each == pytest.approx(1.0, abs=0.1) for each in failed)
