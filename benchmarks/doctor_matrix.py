"""Every fault that can be injected, and what the doctor says of it: `make doctor-matrix`, kept in docs/doctor.md.

    python -m benchmarks.doctor_matrix [--faults NAMES] [--seeds N] [--log FILE]

Two small presets on synthetic recordings: `triage` (quick's inputs and lanes, actions change nothing) and `response`
(quick's own task). A faulty run counts as right when the first finding is the fault's and began within 30 iterations. A
healthy run counts as left alone when no finding is critical. Pairs count when both findings are among the root causes.
"""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, Final

import torch

from custodes.doctor import Diagnosis, diagnose
from custodes.doctor.faults import FAULTS, Fault, fault_of
from custodes.doctor.read import read_run
from custodes.errors import CustodesError
from custodes.train.loop import Watcher, train
from custodes.train.presets import load_preset
from custodes.train.session import Experiment

ITERATIONS: Final = 30
SMALL: Final = (
    "data.synthetic.hosts=2",
    "data.synthetic.events=20000",
    "env.slots=64",
    "rl.rollout=16",
    "rl.chunk=8",
    "rl.hidden=24",
    "rl.encoder=24",
    "rl.minibatches=2",
    "rl.epochs=2",
    "rl.learning_rate=4e-3",
    "rl.warm_start=false",
    f"train.iterations={ITERATIONS}",
    "train.eval_every=1000000",
    "train.checkpoint_every=1000000",
    "train.tensorboard=false",
)
PRESETS: Final = {"triage": ("env.task=triage",), "response": ()}
HEALTHY: Final = {
    "triage": ("env.task=triage",),
    "response": (),
    "triage, MAPPO, GRU": ("env.task=triage", "rl.algorithm=mappo", "rl.core=gru"),
    "triage, shared, by stream": ("env.task=triage", "rl.sharing=shared", "env.lanes=by_stream", "data.split=blocks"),
}
PAIRS: Final = (
    "ratio-broadcast,three-agents",
    "zero-start-state,metric-window",
    "lying-agent,leaking-column",
    "shuffled-rows,blind-agent",
    "frozen-critic,saturated-reward",
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One run."""

    preset: str
    fault: str
    """Empty for a healthy run."""
    seed: int
    wanted: str
    findings: tuple[str, ...]
    """Root causes, the first one first."""
    onset: int | None
    """Of the first finding."""
    critical: tuple[str, ...]
    right: bool
    seconds: float


def run(preset: str, settings: Sequence[str], fault: Fault | None, seed: int) -> Row:
    """Train one run and diagnose it."""
    begin = time.perf_counter()
    name = "" if fault is None else fault.name
    folder = Path(tempfile.mkdtemp(prefix="custodes-doctor-"))
    try:
        diagnosis = _diagnosed(folder / "run", settings, fault, seed)
    finally:
        shutil.rmtree(folder)
    findings = tuple(finding.name for finding in diagnosis.findings)
    critical = tuple(finding.name for finding in diagnosis.findings if finding.severity == "critical")
    wanted = "" if fault is None else fault.finds
    first = diagnosis.findings[0] if diagnosis.findings else None
    if fault is None:
        right = not critical
    elif "," in wanted:
        right = set(wanted.split(",")) <= set(findings)
    else:
        right = first is not None and first.name == wanted and first.iteration <= ITERATIONS
    return Row(
        preset=preset,
        fault=name,
        seed=seed,
        wanted=wanted,
        findings=findings,
        onset=None if first is None else first.iteration,
        critical=critical,
        right=right,
        seconds=time.perf_counter() - begin,
    )


def _diagnosed(out: Path, settings: Sequence[str], fault: Fault | None, seed: int) -> Diagnosis:
    changes = [*SMALL, *settings, f"seed={seed}", *(fault.settings if fault is not None else ())]
    config = load_preset("quick", changes)
    experiment = None if fault is None else Experiment(name=fault.name, seams=fault.seams())
    try:
        train(config, out, Watcher(), experiment)
    except CustodesError as error:
        # A number that is none ends the training; what it recorded stays.
        if not (out / "metrics.jsonl").exists() and not (out / "diagnostics.jsonl").exists():
            raise
        sys.stderr.write(f"{error}\n")
    return diagnose(read_run(out))


@dataclass(frozen=True, kw_only=True)
class Job:
    """A run that is to be made."""

    group: str
    """faults, healthy or pairs."""
    preset: str
    settings: tuple[str, ...]
    fault: str
    seed: int


def jobs(faults: Sequence[str], seeds: int) -> list[Job]:
    """Every fault on both presets, healthy runs, and pairs; seed by seed, so that a part is a smaller matrix."""
    found = []
    for seed in range(seeds):
        for name in faults:
            found += [
                Job(group="faults", preset=preset, settings=settings, fault=name, seed=seed)
                for preset, settings in PRESETS.items()
            ]
        found += [
            Job(group="healthy", preset=preset, settings=settings, fault="", seed=seed)
            for preset, settings in HEALTHY.items()
        ]
    settings = PRESETS["triage"]
    return found + [Job(group="pairs", preset="triage", settings=settings, fault=names, seed=0) for names in PAIRS]


class Log:
    """Rows on disk, one JSON object a line, so that a matrix that was stopped goes on where it was.

    Args:
        path: The file; None keeps nothing.
    """

    def __init__(self, path: Path | None) -> None:
        self._path = path
        text = path.read_text() if path is not None and path.exists() else ""
        rows = [_row(json.loads(line)) for line in text.splitlines()]
        # Parts that ran side by side may have made the same run twice.
        self.rows = list({(row.preset, row.fault, row.seed): row for row in rows}.values())

    def done(self, job: Job) -> bool:
        """Whether the log has it."""
        return any((row.preset, row.fault, row.seed) == (job.preset, job.fault, job.seed) for row in self.rows)

    def add(self, row: Row) -> None:
        """Keep a row, and say how it went."""
        self.rows.append(row)
        if self._path is not None:
            with self._path.open("a") as file:
                file.write(json.dumps(asdict(row)) + "\n")
        state, named = "right" if row.right else "WRONG", ", ".join(row.findings) or "nothing"
        sys.stderr.write(f"{state}  {row.preset:<10} {row.fault or 'healthy':<30} seed {row.seed}  {named}\n")


def _row(values: dict[str, Any]) -> Row:
    read: dict[str, Any] = {name: tuple(value) if isinstance(value, list) else value for name, value in values.items()}
    return Row(**read)


def table(rows: Sequence[Row]) -> str:
    """The rows of a matrix as Markdown."""
    lines = ["| fault | finding | " + " | ".join(PRESETS) + " | onset |", "|---|---|" + "---|" * len(PRESETS) + "---|"]
    for name in dict.fromkeys(row.fault for row in rows):
        mine = [row for row in rows if row.fault == name]
        cells = []
        for preset in PRESETS:
            here = [row for row in mine if row.preset == preset]
            cells.append(f"{sum(row.right for row in here)} of {len(here)}")
        onsets = [row.onset for row in mine if row.right and row.onset is not None]
        span = f"{min(onsets)} - {max(onsets)}" if onsets else "-"
        lines.append(f"| `{name}` | `{mine[0].wanted}` | {' | '.join(cells)} | {span} |")
    return "\n".join(lines)


def report(rows: Sequence[Row]) -> bool:
    """Print the tables; whether every bar is met."""
    faulty = [row for row in rows if row.fault and "," not in row.fault]
    sound = [row for row in rows if not row.fault]
    both = [row for row in rows if "," in row.fault]
    if faulty:
        print(table(faulty))
        right = sum(row.right for row in faulty)
        count = len({row.fault for row in faulty})
        print(
            f"\n{count} faults, {len(faulty)} runs: the first finding is right in {right} ({right / len(faulty):.1%})."
        )
    for name in dict.fromkeys(row.preset for row in sound):
        mine = [row for row in sound if row.preset == name]
        print(f"Healthy, {name}: {sum(row.right for row in mine)} of {len(mine)} without a critical finding.")
    for row in both:
        print(f"Pair {row.fault}: {'both named' if row.right else 'NOT both named'} ({', '.join(row.findings)}).")
    wrong = sum(not row.right for row in faulty)
    return wrong <= 0.05 * len(faulty) and all(row.right for row in (*sound, *both))


def main(arguments: Sequence[str] | None = None) -> int:
    """Run what is missing and print the tables; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default=",".join(FAULTS), help="names with commas; empty for none")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--groups", default="faults,healthy,pairs", help="which of these to run")
    parser.add_argument("--part", default="1/1", metavar="K/N", help="every N-th run from the K-th on")
    parser.add_argument("--log", type=Path, help="keep rows here, and do not make again those that are there")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    log = Log(given.log)
    which, parts = (int(x) for x in given.part.split("/"))
    wanted = [j for j in jobs([*filter(None, given.faults.split(","))], given.seeds) if j.group in given.groups]
    for job in wanted[which - 1 :: parts]:
        if not log.done(job):
            fault = fault_of(job.fault) if job.fault else None
            log.add(run(job.preset, job.settings, fault, job.seed))
    return 0 if report(log.rows) else 1


if __name__ == "__main__":
    sys.exit(main())
