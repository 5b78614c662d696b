"""Every fault that can be injected, and what the doctor says of it: `make doctor-matrix`, kept in docs/doctor.md.

    python -m benchmarks.doctor_matrix [--faults NAMES] [--seeds N] [--json FILE]

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
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Final

import torch

from custodes.doctor import Diagnosis, diagnose
from custodes.doctor.faults import FAULTS, Fault, fault_of
from custodes.doctor.read import read_run
from custodes.errors import CustodesError
from custodes.train.loop import Experiment, Watcher, train
from custodes.train.presets import load_preset

ITERATIONS: Final = 30
SMALL: Final = (
    "data.synthetic.hosts=2",
    "data.synthetic.events=20000",
    "env.slots=32",
    "rl.rollout=32",
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


def matrix(names: Iterable[str], seeds: int) -> list[Row]:
    """Every fault on both presets."""
    rows = []
    for name in names:
        for preset, settings in PRESETS.items():
            rows += [_shown(run(preset, settings, fault_of(name), seed)) for seed in range(seeds)]
    return rows


def healthy(seeds: int) -> list[Row]:
    """Runs without a fault."""
    return [_shown(run(preset, settings, None, seed)) for preset, settings in HEALTHY.items() for seed in range(seeds)]


def pairs() -> list[Row]:
    """Two faults at once."""
    return [_shown(run("triage", PRESETS["triage"], fault_of(names), 0)) for names in PAIRS]


def _shown(row: Row) -> Row:
    state = "right" if row.right else "WRONG"
    named = ", ".join(row.findings) or "nothing"
    print(
        f"{state}  {row.preset:<10} {row.fault or 'healthy':<30} seed {row.seed}  {named}", file=sys.stderr, flush=True
    )
    return row


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


def main(arguments: Sequence[str] | None = None) -> int:
    """Print the tables; 1 where a bar is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--faults", default=",".join(FAULTS), help="names with commas; empty for none")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("faults", "healthy", "pairs"))
    parser.add_argument("--json", type=Path, help="write every run here")
    given = parser.parse_args(arguments)
    torch.set_num_threads(1)
    faulty = matrix(filter(None, given.faults.split(",")), given.seeds) if given.only in (None, "faults") else []
    sound = healthy(given.seeds) if given.only in (None, "healthy") else []
    both = pairs() if given.only in (None, "pairs") else []
    if given.json is not None:
        given.json.write_text(json.dumps([asdict(row) for row in (*faulty, *sound, *both)], indent=1))
    if faulty:
        print(table(faulty))
        share = sum(row.right for row in faulty) / len(faulty)
        print(f"\n{len({row.fault for row in faulty})} faults, {len(faulty)} runs: first finding right in {share:.1%}.")
    for name in dict.fromkeys(row.preset for row in sound):
        mine = [row for row in sound if row.preset == name]
        print(f"healthy, {name}: {sum(row.right for row in mine)} of {len(mine)} without a critical finding")
    for row in both:
        print(f"pair {row.fault}: {'both named' if row.right else 'NOT both named'} ({', '.join(row.findings)})")
    wrong = sum(not row.right for row in faulty)
    met = wrong <= 0.05 * len(faulty) and all(row.right for row in (*sound, *both))
    return 0 if met else 1


if __name__ == "__main__":
    sys.exit(main())
