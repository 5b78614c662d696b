"""The task that all programs learn."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from benchmarks.train_peers.workload import LanePlayer, Workload, environment_speed

TINY = Workload(lanes=5, inputs=3, actions=4, distinct=7, shortest=2, longest=6)


def lane_of_row(player: LanePlayer) -> list[int]:
    """Which lane each row is in, counted lane by lane."""
    starts = [*player.starts.tolist(), len(player.rows)]
    return [lane for lane in range(len(starts) - 1) for _ in range(starts[lane], starts[lane + 1])]


def test_resets_per_step_are_those_of_the_issue() -> None:
    player = LanePlayer(Workload(), seed=0)
    actions = np.zeros(player.workload.lanes, dtype=np.int64)
    resets = [int(player.step(actions)[2].sum()) for _ in range(4000)]
    assert np.mean(resets) == pytest.approx(1.28, abs=0.05)
    assert len(set(resets)) > 2  # staggered, not all slots at once


@given(seed=st.integers(0, 1000))
def test_rewards_observations_and_ends_follow_the_rows(seed: int) -> None:
    player = LanePlayer(TINY, seed)
    lane = lane_of_row(player)
    rng = np.random.default_rng(seed)
    for _ in range(30):
        before = player.cursor.copy()
        actions = rng.integers(0, TINY.actions, size=TINY.lanes)
        observed, rewards, ends = player.step(actions)
        for slot, row in enumerate(before.tolist()):
            last = row + 1 == len(lane) or lane[row + 1] != lane[row]
            assert ends[slot] == last
            assert rewards[slot] == float(actions[slot] == player.answers[row])
            following = int(player.cursor[slot])
            assert following in player.starts.tolist() if last else following == row + 1
            np.testing.assert_array_equal(observed[slot], player.rows[following])


def test_answers_need_the_row_before_and_forget_the_lane_before() -> None:
    player = LanePlayer(Workload(memory=0.0), seed=3)
    remembering = LanePlayer(Workload(memory=0.7), seed=3)
    np.testing.assert_array_equal(player.rows, remembering.rows)
    first = np.zeros(len(player.rows), dtype=np.bool_)
    first[player.starts] = True
    np.testing.assert_array_equal(player.answers[first], remembering.answers[first])
    assert 0.1 < float((player.answers[~first] != remembering.answers[~first]).mean()) < 0.7


def test_every_action_is_right_somewhere() -> None:
    player = LanePlayer(Workload(), seed=0)
    shares = np.bincount(player.answers, minlength=4) / len(player.answers)
    assert shares.min() > 0.1


def test_rewards_are_tallied() -> None:
    player = LanePlayer(TINY, seed=1)
    total = 0.0
    for _ in range(10):
        total += float(player.step(np.zeros(TINY.lanes, dtype=np.int64))[1].sum())
    assert (player.played, player.rewarded) == (50, total)


def test_environment_speed_counts_steps() -> None:
    assert environment_speed(TINY, 0, seconds=0.001) > 0
