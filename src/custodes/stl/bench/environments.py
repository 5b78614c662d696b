"""Which Python runs which engine, and how a peer's environment is made."""

from __future__ import annotations

import os
import subprocess
import sys
import venv
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import Final


@dataclass(frozen=True, kw_only=True)
class Environment:
    """A peer and the exact versions that it is measured in."""

    module: str
    """What has to be importable."""
    requirements: tuple[str, ...]
    """For pip."""


ENVIRONMENTS: Final[Mapping[str, Environment]] = MappingProxyType(
    {
        "sentil": Environment(module="sentil", requirements=("sentil==0.3.1", "numpy==2.4.6")),
        # Pins antlr4-python3-runtime 4.7, with which hydra and omegaconf fall back to versions of 2019.
        "rtamt": Environment(module="rtamt", requirements=("rtamt==0.4.10", "antlr4-python3-runtime==4.7")),
        "stlcgpp": Environment(module="stlcgpp", requirements=("stlcgpp==0.0.2", "torch==2.13.0", "numpy==2.4.6")),
    }
)
"""Peers. They exclude one another's pins, so each has an environment; one beside custodes itself is used too."""

ONE_THREAD: Final = {
    **{f"{library}_NUM_THREADS": "1" for library in ("OMP", "MKL", "OPENBLAS", "NUMEXPR", "VECLIB_MAXIMUM", "RAYON")},
    "OMP_WAIT_POLICY": "PASSIVE",
    "CUDA_VISIBLE_DEVICES": "",
}
"""Set for every engine before it is imported."""


def folder_of(name: str) -> Path:
    """Where a peer's environment is or will be: in the folder that the command runs in, or CUSTODES_BENCH_HOME."""
    return Path(os.environ.get("CUSTODES_BENCH_HOME", ".")).absolute() / f".venv-bench-{name}"


def interpreter(name: str) -> tuple[Path | None, str]:
    """Which Python runs an engine.

    Returns:
        The interpreter, or None and in one line why there is none and what to do.
    """
    if name not in ENVIRONMENTS:
        return Path(sys.executable), ""
    own = folder_of(name) / "bin" / "python"
    for python in (own, Path(sys.executable)):
        if python.exists() and _finds(python, ENVIRONMENTS[name].module):
            return python, ""
    return None, f"not installed (looked in {own.parents[1].name} and here); run: custodes stl bench --install-peers"


def _finds(python: Path, module: str) -> bool:
    code = "import importlib.util, sys; sys.exit(importlib.util.find_spec(sys.argv[1]) is None)"
    return subprocess.run([str(python), "-c", code, module], capture_output=True, check=False).returncode == 0


def install(name: str) -> str:
    """Make a peer's environment anew.

    Returns:
        What went wrong, in one line; empty when nothing did.
    """
    folder = folder_of(name)
    try:
        venv.create(folder, clear=True, with_pip=True)
    except (OSError, subprocess.CalledProcessError) as error:
        return f"{name}: no environment in {folder}: {error}"
    pip = [str(folder / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run([*pip, *ENVIRONMENTS[name].requirements], capture_output=True, text=True, check=False)
    if done.returncode == 0:
        return ""
    said = [line for line in done.stderr.splitlines() if line.startswith("ERROR")] or done.stderr.splitlines()
    return f"{name}: pip ended with {done.returncode}: {said[-1] if said else 'no message'}"
