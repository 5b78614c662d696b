"""The workload as custodes' vector environment."""

from __future__ import annotations

import torch

from benchmarks.train_peers.custodes_adapter import CustodesLanes, CustodesTriage, LaneEnv
from benchmarks.train_peers.program import Finished
from benchmarks.train_peers.workload import LanePlayer, Workload
from custodes.interface import VectorEnv

TINY = Workload(lanes=6, inputs=3, hidden=5, rollout=8, minibatches=2, epochs=1, distinct=9, shortest=2, longest=5)


def test_it_plays_as_the_player_does() -> None:
    env: VectorEnv = LaneEnv(LanePlayer(TINY, 0))
    player = LanePlayer(TINY, 0)
    torch.testing.assert_close(env.reset().central, torch.from_numpy(player.observe()))
    generator = torch.Generator().manual_seed(0)
    for _ in range(20):
        actions = torch.randint(0, TINY.actions, (TINY.lanes, 1), generator=generator)
        acted = player.cursor.copy()
        step = env.step(actions)
        observed, rewards, ends = player.step(actions[:, 0].numpy())
        torch.testing.assert_close(step.observation.agents[:, 0], torch.from_numpy(observed))
        torch.testing.assert_close(step.reward[:, 0], torch.from_numpy(rewards))
        assert step.terminated.tolist() == ends.tolist()
        assert not step.truncated.any()
        for slot, ended in enumerate(ends.tolist()):
            row = acted[slot] if ended else player.cursor[slot]
            torch.testing.assert_close(step.successor.central[slot], torch.from_numpy(player.rows[row]))


def test_state_continues_exactly() -> None:
    one, two = LaneEnv(LanePlayer(TINY, 0)), LaneEnv(LanePlayer(TINY, 0))
    actions = torch.zeros(TINY.lanes, 1, dtype=torch.int64)
    for _ in range(7):
        one.step(actions)
    two.load_state(one.state())
    for _ in range(20):
        a, b = one.step(actions), two.step(actions)
        assert torch.equal(a.observation.agents, b.observation.agents)
        assert torch.equal(a.reward, b.reward)


def iterations(program: CustodesLanes | CustodesTriage, count: int) -> None:
    """Train for some iterations."""
    left = count

    def boundary() -> None:
        nonlocal left
        left -= 1
        if not left:
            raise Finished

    try:
        program.train(boundary)
    except Finished:
        return


def test_the_learner_trains_on_it() -> None:
    program = CustodesLanes(TINY, 0, chunk=4)
    before = [p.clone() for p in program.state.policy.parameters()]
    iterations(program, 2)
    assert program.players[0].played == 2 * TINY.samples
    assert any(not torch.equal(a, b) for a, b in zip(before, program.state.policy.parameters(), strict=True))


def test_the_learner_trains_on_the_triage_player_over_the_same_lanes() -> None:
    program = CustodesTriage(TINY, 0, chunk=4)
    iterations(program, 2)
    assert program.state.decisions == 2 * TINY.samples


def test_the_network_is_as_large_as_the_plain_loops() -> None:
    assert CustodesLanes(Workload(), 0, chunk=16).parameters == 34_693
