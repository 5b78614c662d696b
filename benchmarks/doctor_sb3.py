"""The doctor on real runs of Stable-Baselines3, sound and broken: `python -m benchmarks.doctor_sb3 [--json]`.

Each case trains PPO with Stable-Baselines3's own loggers (TensorBoard and CSV) and with `custodes.doctor.sb3`, then
reads back the three logs apart. Printed: what the agent earned, and the findings of each log. `--install` makes the
environment first, where Stable-Baselines3 is not beside custodes already (extra [bench]).
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any

from benchmarks.train_peers.install import ROOT, install, missing_modules, python_of
from benchmarks.train_peers.rounds import ONE_THREAD

NEEDED = ("stable_baselines3", "tensorboard", "polars")
"""Modules that the interpreter of the runs must have."""


@dataclass(frozen=True, kw_only=True)
class Case:
    """One training on CartPole-v1."""

    expected: str
    """Name of the finding that must come first; empty for a sound run, which must have none that is critical."""
    told: str
    """What was done to it, in a few words."""
    reward_scale: float = 1.0
    """Factor of every reward."""
    dropout: float = 0.0
    """Dropout in the policy's layers."""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """Further arguments of PPO."""


CASES: Mapping[str, Case] = MappingProxyType(
    {
        "healthy": Case(expected="", told="settings of the RL zoo's kind"),
        "value-clip": Case(
            expected="value-clip",
            told="rewards x 1,000 under clip_range_vf=0.2",
            reward_scale=1000.0,
            settings={"clip_range_vf": 0.2},
        ),
        "step-size": Case(expected="update-too-large", told="learning_rate=0.1", settings={"learning_rate": 0.1}),
    }
)
STEPS = 65_536
"""Environment steps of each training."""


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(prog="python -m benchmarks.doctor_sb3", description=__doc__)
    made.add_argument("--json", action="store_true", help="print one JSON object on standard output and nothing else")
    made.add_argument("--cases", default=",".join(CASES), help="comma-separated (default: %(default)s)")
    made.add_argument("--seed", type=int, default=0, help="of environment, networks and actions (default: 0)")
    made.add_argument(
        "--steps", type=int, default=STEPS, help="environment steps of each training (default: %(default)s)"
    )
    made.add_argument("--out", type=Path, help="keep the logs in this folder, one folder a case; must not hold any yet")
    made.add_argument("--install", action="store_true", help="make the environment and end")
    made.add_argument("--worker", metavar="CASE", help=argparse.SUPPRESS)
    return made


def train(name: str, folder: Path, seed: int, steps: int) -> None:
    """One training; runs in the interpreter that has Stable-Baselines3."""
    import gymnasium
    import torch
    from stable_baselines3 import PPO
    from stable_baselines3.common.env_util import make_vec_env
    from stable_baselines3.common.logger import configure

    from custodes.doctor.sb3 import DoctorCallback

    torch.set_num_threads(1)
    case = CASES[name]

    def scaled(env: gymnasium.Env[Any, Any], **_: Any) -> gymnasium.Env[Any, Any]:
        return gymnasium.wrappers.TransformReward(env, lambda reward: case.reward_scale * float(reward))

    environment = make_vec_env("CartPole-v1", n_envs=8, seed=seed, wrapper_class=scaled)
    model = PPO(
        "MlpPolicy",
        environment,
        n_steps=128,
        batch_size=256,
        n_epochs=20,
        gamma=0.98,
        gae_lambda=0.8,
        seed=seed,
        device="cpu",
        **{"learning_rate": 1e-3, **case.settings},
    )
    model.set_logger(configure(str(folder), ["csv", "tensorboard"]))
    model.learn(steps, callback=DoctorCallback(folder))


def interpreter() -> Path | None:
    """Python of the environment, or this one; None where neither has what is needed."""
    for python in (python_of("sb3"), Path(sys.executable)):
        if python.exists() and not missing_modules(python, NEEDED):
            return python
    return None


def run_case(python: Path, name: str, folder: Path, seed: int, steps: int) -> dict[str, Any]:
    """Train, and read the three logs apart."""
    command = [str(python), "-m", "benchmarks.doctor_sb3", "--worker", name, "--out", str(folder)]
    command += ["--seed", str(seed), "--steps", str(steps)]
    path = os.pathsep.join(filter(None, (str(ROOT / "src"), str(ROOT), os.environ.get("PYTHONPATH"))))
    done = subprocess.run(
        command,
        cwd=ROOT,
        env=os.environ | ONE_THREAD | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        return {"failed": last}
    return {"told": CASES[name].told, "expected": CASES[name].expected, **read_back(folder)}


def read_back(folder: Path) -> dict[str, Any]:
    """What each log of a training says."""
    from custodes.doctor import diagnose
    from custodes.doctor.foreign import read_foreign

    logs = {
        "tensorboard": next(folder.glob("*tfevents*")),
        "csv": folder / "progress.csv",
        "callback": folder / "doctor.jsonl",
    }
    found: dict[str, Any] = {}
    for log, path in logs.items():
        run = read_foreign(path)
        diagnosis = diagnose(run.signals)
        found[log] = {
            "iterations": len(run.signals),
            "findings": [
                {"name": f.name, "severity": f.severity, "iteration": f.iteration, "explains": list(f.explains)}
                for f in diagnosis.findings
            ],
            "examined": len(diagnosis.examined),
            "not_examined": len(diagnosis.not_examined),
        }
        if log == "tensorboard":
            found["episode_reward"] = float(run.signals["episode_reward"][-1])
            found["episode_length"] = float(run.signals["episode_length"][-1])
    return found


def right(result: Mapping[str, Any]) -> bool:
    """Whether every log of a case says what it should.

    The trainer's own logs must name the cause first. The callback shows more than one thing that is grave; the cause is
    among its root causes.
    """
    if "failed" in result:
        return False
    findings = {log: result[log]["findings"] for log in ("tensorboard", "csv", "callback")}
    if result["expected"]:
        first = all(findings[log] and findings[log][0]["name"] == result["expected"] for log in ("tensorboard", "csv"))
        return first and result["expected"] in [finding["name"] for finding in findings["callback"]]
    return not any(finding["severity"] == "critical" for found in findings.values() for finding in found)


def table(results: Mapping[str, Mapping[str, Any]]) -> str:
    """For people."""
    lines = []
    for name, result in results.items():
        if "failed" in result:
            lines.append(f"{name}: failed: {result['failed']}")
            continue
        lines.append(f"{name} ({result['told']}): episodes of {result['episode_length']:.0f} steps at the end")
        for log in ("tensorboard", "csv", "callback"):
            part = result[log]
            names = ", ".join(f"{f['name']} ({f['severity']}, from {f['iteration']})" for f in part["findings"])
            looked = f"{part['examined']} detectors looked, {part['not_examined']} lack signals"
            lines.append(f"  {log:12} {names or 'nothing fired'}; {looked}")
    return "\n".join(lines)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the cases.

    Returns:
        0; 1 when a case is not diagnosed as it should be, or nothing could be run.
    """
    line = parser()
    options = line.parse_args(arguments)
    if options.worker:
        train(options.worker, options.out, options.seed, options.steps)
        return 0
    if options.install:
        problem = install("sb3")
        print(problem, file=sys.stderr)
        return 1 if problem else 0
    names = [name for name in options.cases.split(",") if name]
    if not names or set(names) - set(CASES):
        line.error(f"--cases: use {', '.join(CASES)}")
    python = interpreter()
    if python is None:
        print("no Stable-Baselines3 here; run: python -m benchmarks.doctor_sb3 --install", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory(prefix="doctor-sb3-") as aside:
        results = {}
        for name in names:
            results[name] = run_case(python, name, Path(aside) / name, options.seed, options.steps)
            if options.out is not None and (Path(aside) / name).exists():
                shutil.copytree(Path(aside) / name, options.out / name)
    print(json.dumps({"seed": options.seed, "cases": results}) if options.json else table(results))
    return 0 if all(map(right, results.values())) else 1


if __name__ == "__main__":
    sys.exit(main())
