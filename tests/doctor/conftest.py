"""One small trained run for all tests of the doctor."""

from __future__ import annotations

from pathlib import Path

import pytest

from custodes.train.loop import train
from custodes.train.presets import load_preset

SMALL = (
    "data.synthetic.hosts=2",
    "data.synthetic.processes=20",
    "data.synthetic.events=3000",
    "data.synthetic.campaigns=8",
    "env.task=triage",
    "env.window=32",
    "env.slots=16",
    "rl.rollout=16",
    "rl.epochs=1",
    "rl.hidden=8",
    "rl.encoder=8",
    "rl.minibatches=2",
    "rl.warm_start=false",
    "train.iterations=4",
    "train.tensorboard=false",
)
"""Settings with which a training takes a moment."""


@pytest.fixture(scope="session")
def trained_run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of four iterations; not to be changed."""
    path = tmp_path_factory.mktemp("doctor") / "run"
    train(load_preset("quick", SMALL), path)
    return path
