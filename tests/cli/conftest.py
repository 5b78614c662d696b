"""A fast way to run commands, and one small trained run for all tests."""

from __future__ import annotations

import contextlib
import io
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from custodes.cli.entry import run
from custodes.cli.locate import VARIABLE

SMALL = (
    "data.synthetic.hosts=3",
    "data.synthetic.processes=20",
    "data.synthetic.events=3000",
    "data.synthetic.campaigns=9",
    "env.slots=8",
    "rl.rollout=16",
    "rl.epochs=1",
    "rl.hidden=8",
    "rl.encoder=8",
    "rl.warm_start=false",
    "team.agents=2",
    "train.tensorboard=false",
)
"""Settings with which an iteration of the quick preset takes a moment."""
SMALL_FLAGS = [part for setting in SMALL for part in ("--set", setting)]


@dataclass(frozen=True)
class Ran:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def refusal(self) -> str:
        """The one line of a refused command, after checking that it is one, with exit code 2 and nothing else."""
        assert (self.code, self.out) == (2, ""), self
        assert self.err.startswith("custodes: "), self
        assert self.err.endswith("\n"), self
        assert self.err.count("\n") == 1, self
        return self.err.removeprefix("custodes: ").rstrip("\n")


def custodes(*args: object) -> Ran:
    """Run a command in this process."""
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = run([str(arg) for arg in args])
    return Ran(code, out.getvalue(), err.getvalue())


@pytest.fixture(autouse=True)
def _own_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Commands look for recordings around the working directory and in a variable: start from a clean place."""
    monkeypatch.delenv(VARIABLE, raising=False)
    monkeypatch.delenv("CUSTODES_DEBUG", raising=False)
    folder = tmp_path / "work" / "here"
    folder.mkdir(parents=True)
    monkeypatch.chdir(folder)


@pytest.fixture(scope="session")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two iterations; not to be changed."""
    path = tmp_path_factory.mktemp("trained") / "run"
    done = custodes("train", "--out", path, "--seed", 1, *SMALL_FLAGS, "--set", "train.iterations=2")
    assert done.code == 0, done.err
    return path


@pytest.fixture
def a_run(trained: Path, tmp_path: Path) -> Path:
    """A copy of the trained run, to be changed at will."""
    return Path(shutil.copytree(trained, tmp_path / "run"))


def snapshot(folder: Path) -> dict[str, bytes | None]:
    """Every file below a folder with its content."""
    return {
        str(path.relative_to(folder)): path.read_bytes() if path.is_file() else None
        for path in sorted(folder.rglob("*"))
    }


Unchanged = Callable[[], None]


@pytest.fixture
def unchanged(tmp_path: Path) -> Callable[[Path], Unchanged]:
    """Remember a folder; the function that comes back checks that it is still the same."""

    def remember(folder: Path) -> Unchanged:
        before = snapshot(folder)

        def check() -> None:
            assert snapshot(folder) == before
            assert not [name for name in os.listdir(folder) if name.endswith(".part")]

        return check

    return remember
