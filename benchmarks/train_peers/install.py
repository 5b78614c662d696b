"""Makes the environments of the peers, one each, since their pins exclude one another."""

from __future__ import annotations

import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).parents[2]
"""The checkout: environments lie beside `benchmarks/`, and git ignores them (.venv*)."""


@dataclass(frozen=True, kw_only=True)
class Environment:
    """How one environment is made."""

    requirements: str
    """File in `benchmarks/` with exact versions."""
    bare: tuple[str, ...] = ()
    """Requirements installed last and without their dependencies, because a pin of theirs contradicts ours."""
    build: str = ""
    """Module run in the environment at the end."""


ENVIRONMENTS: Mapping[str, Environment] = MappingProxyType(
    {
        "sb3": Environment(requirements="requirements-sb3.txt"),
        "benchmarl": Environment(requirements="requirements-benchmarl.txt"),
        "pufferlib": Environment(
            requirements="requirements-pufferlib.txt",
            bare=("pufferlib-core==3.0.23",),
            build="benchmarks.train_peers.pufferlib_build",
        ),
    }
)


def folder_of(name: str) -> Path:
    """Where an environment is or will be."""
    return ROOT / f".venv-bench-{name}"


def python_of(name: str) -> Path:
    """The interpreter of an environment."""
    return folder_of(name) / "bin" / "python"


def missing_modules(python: Path, modules: tuple[str, ...]) -> list[str]:
    """Those of `modules` that an interpreter cannot find, by looking for them without importing the last part."""
    code = (
        "import importlib.util, sys\n"
        "def there(name):\n"
        "    try:\n"
        "        return importlib.util.find_spec(name) is not None\n"
        "    except ImportError:\n"
        "        return False\n"
        "print(*[name for name in sys.argv[1:] if not there(name)])\n"
    )
    command = [str(python), "-c", code, *modules]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    return done.stdout.split() if done.returncode == 0 else list(modules)


def install(name: str) -> str:
    """Make one environment anew.

    Returns:
        What went wrong, in one line; empty when nothing did.
    """
    entry, python = ENVIRONMENTS[name], python_of(name)
    venv.create(folder_of(name), clear=True, with_pip=True)
    pip = [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    steps = [[*pip, "-r", str(ROOT / "benchmarks" / entry.requirements)]]
    steps += [[*pip, "--no-deps", *entry.bare]] if entry.bare else []
    steps += [[str(python), "-m", entry.build]] if entry.build else []
    for step in steps:
        print(" ".join(step), file=sys.stderr)
        done = subprocess.run(step, cwd=ROOT, stdout=sys.stderr, check=False)
        if done.returncode:
            return f"{' '.join(step)} ended with {done.returncode}"
    return ""
