"""A GPU does what the CPU does: environments and rules to rounding, and training to its own last bit."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from custodes.bft.votes import severity_decision
from custodes.env.ballots import VoteRule
from custodes.interface import Observation, Step
from custodes.stl.batched import evaluate
from custodes.train.loop import Watcher, resume, train
from custodes.train.presets import load_preset
from custodes.train.run_folder import open_run
from custodes.train.scoring import evaluate_run, workload_for, workload_of
from tests.stl.generate import Grammar, random_formula, random_trace
from tests.train.test_resume import SMALL, assert_same_run

pytestmark = [
    pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no CUDA device"),
    pytest.mark.filterwarnings("ignore:RNN module weights"),
]


def parts(seen: Observation | Step) -> dict[str, torch.Tensor]:
    """Every tensor of what an environment returned, on the CPU."""
    found: dict[str, torch.Tensor] = {}
    for name in seen.__dataclass_fields__:
        value = getattr(seen, name)
        if isinstance(value, torch.Tensor):
            found[name] = value.cpu()
        elif isinstance(value, Observation):
            found |= {f"{name}.{k}": v for k, v in parts(value).items()}
    return found


@pytest.mark.parametrize("task", ["response", "triage"])
def test_an_environment_plays_the_same(task: str) -> None:
    config = load_preset("quick", [*SMALL, f"env.task={task}"])
    here, there = (workload_for(config, device=device).training_env(1, 0) for device in ("cpu", "cuda"))
    assert parts(there.reset()).keys() == parts(here.reset()).keys()
    draw = torch.Generator().manual_seed(0)
    for _ in range(200):
        votes = torch.randint(0, 4, (here.slots, here.agents), generator=draw)
        cpu, cuda = parts(here.step(votes)), parts(there.step(votes.cuda()))
        assert cpu.keys() == cuda.keys()
        assert [name for name in cpu if not torch.allclose(cpu[name], cuda[name], rtol=1e-6, atol=1e-6)] == []
    assert [k for k, v in here.state().items() if not torch.equal(v, there.state()[k])] == []


def test_votes_are_counted_the_same() -> None:
    ballots = torch.cartesian_prod(*[torch.arange(4)] * 4)
    decided = severity_decision(ballots, 1)
    assert torch.equal(severity_decision(ballots.cuda(), 1).cpu(), decided)
    assert torch.equal(VoteRule(4, 1, "cuda")(ballots.cuda()).cpu(), decided)


def test_rules_are_the_same_to_rounding() -> None:
    for seed in range(60):
        rng = np.random.default_rng(seed)
        node = random_formula(rng, Grammar())
        traces = [random_trace(rng, 20) for _ in range(3)]
        signals = {name: torch.from_numpy(np.stack([trace[name] for trace in traces])) for name in traces[0]}
        here = evaluate(node, signals)
        there = evaluate(node, {name: values.cuda() for name, values in signals.items()})
        assert torch.equal(here.valid, there.valid.cpu()), seed
        both = here.value, there.value.cpu()
        assert torch.allclose(*both, rtol=1e-9, atol=1e-12, equal_nan=True), seed


@pytest.mark.parametrize("more", [(), ("rules.file=default",), ("rl.algorithm=mappo", "rl.core=gru")])
def test_a_training_is_reproducible_and_resumes_to_the_last_bit(tmp_path: Path, more: tuple[str, ...]) -> None:
    config = load_preset("quick", [*SMALL, "train.device=cuda", *more])
    train(config, tmp_path / "whole")
    seen: list[int] = []
    watcher = Watcher(iterated=lambda line: seen.append(line["iteration"]), stop=lambda: len(seen) == 13)
    train(config, tmp_path / "cut", watcher)
    resume(tmp_path / "cut")
    assert_same_run(tmp_path / "whole", tmp_path / "cut")
    lines = [json.loads(line) for line in (tmp_path / "whole" / "metrics.jsonl").read_text().splitlines()]
    # Of passes on a GPU over other shapes than the collection's: rounding, and nothing else.
    assert max(line["ratio_error_max"] for line in lines) < 1e-3
    run = open_run(tmp_path / "whole")
    assert evaluate_run(run, workload_of(run), baselines=()).response is not None
