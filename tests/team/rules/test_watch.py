from __future__ import annotations

import torch

from custodes.env.check import check_env
from custodes.env.player import TERMINATED
from custodes.env.response.config import ResponseConfig
from custodes.env.response.layout import HELD
from custodes.env.response.replay import FREE
from custodes.team.rules.watch import Watch
from tests.env.response.games import city, environment
from tests.team.rules.stages import Stage

CITY = city()


def test_a_watched_environment_is_the_environment() -> None:
    bare = environment(CITY, ResponseConfig(slots=4), agents=4, seed=3)
    watch = Watch(environment(CITY, ResponseConfig(slots=4), agents=4, seed=3))
    generator = torch.Generator().manual_seed(1)
    assert torch.equal(bare.reset().central, watch.reset().central)
    for _ in range(60):
        votes = torch.randint(0, 4, (4, 4), generator=generator)
        one, other = bare.step(votes), watch.step(votes)
        for name in ("reward", "terminated", "truncated", "decision", "label", "team_reward", "lane"):
            assert torch.equal(getattr(one, name), getattr(other, name))
        assert torch.equal(one.observation.agents, other.observation.agents)
    assert {k: v.tolist() for k, v in bare.state().items()} == {k: v.tolist() for k, v in watch.state().items()}


def test_it_passes_the_check_of_environments() -> None:
    check_env(Watch(environment(CITY, ResponseConfig(slots=4), agents=4)), steps=120)


def test_what_is_seen_follows_from_step_to_step() -> None:
    stage = Stage(CITY, slots=5)
    seen = stage.play(80, torch.Generator().manual_seed(0))
    assert seen.steps == 80
    assert stage.watch.take() is None
    state, place = seen.state, seen.place
    stays = ~seen.over[:-1]
    assert torch.equal(place[1:][stays], place[:-1][stays] + 1)
    assert bool((state[1:][~stays] == FREE).all())
    # Who is withheld was quarantined before; who is gone by a verdict was neither blocked nor at a recorded end.
    assert bool((state == HELD).any())
    assert bool(seen.verdict.any())
    assert bool((seen.decision[seen.verdict] != 3).all())
    assert bool((stage.env.ends()[place[seen.verdict]] != TERMINATED).all())


def test_reset_and_loading_forget() -> None:
    stage = Stage(CITY)
    kept = stage.watch.state()
    stage.watch.step(torch.zeros(3, 4, dtype=torch.int64))
    stage.watch.load_state(kept)
    assert stage.watch.take() is None
    stage.watch.step(torch.zeros(3, 4, dtype=torch.int64))
    stage.watch.reset()
    assert stage.watch.take() is None
