"""Rules as the shield and the monitors of a running team use them."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Any, Final, final

from custodes.errors import CustodesError
from custodes.stl import analysis
from custodes.stl import formula as f
from custodes.stl.errors import StlError
from custodes.stl.explain import per_sample
from custodes.stl.formula import Formula
from custodes.stl.printer import format_formula
from custodes.stl.rules import load_library
from custodes.stl.specfile import Severity, Spec, SpecFile, load_specs, parse_specs
from custodes.stl.streaming import Point, SingleMonitor, Snapshot
from custodes.team.shield.signals import PROCESS, SIGNALS

HARD: Final = "hard"
LABEL: Final = "label"
ENTITY: Final = "entity"
"""Tags with a meaning: enforced by the shield; reads the true label, so that it cannot run live; of one process."""

PERIOD_NS: Final = 10_000_000_000
"""Sampling period of rules with bounds in units of time whose file states none, ns."""


@final
class Rule:
    """One rule that is watched while decisions are made.

    Watched is what the rule asks of each sample: the formula without its outer `always`. Of sample t that is known for
    sure when the windows ahead of it are over.

    Args:
        name: Of the rule.
        formula: What it asks of each sample, bounds in samples.
        severity: How bad a violation is.
        hard: Whether the shield enforces it.
        entity: Whether it is about one process; else about the team.
    """

    def __init__(self, name: str, formula: Formula, *, severity: Severity, hard: bool, entity: bool) -> None:
        self.name, self.severity, self.hard, self.entity = name, severity, hard, entity
        self.text = format_formula(formula)
        self._monitor = SingleMonitor(formula)
        self.start: Snapshot = self._monitor.snapshot()
        """The memory before the first sample."""
        self.reach = (analysis.memory(formula) or 0) + (analysis.horizon(formula) or 0) + 1
        """After so many equal samples nothing before them counts, but for windows without end."""

    def try_sample(self, before: Snapshot, values: Mapping[str, float]) -> Point:
        """What one more sample would tell."""
        self._monitor.resume(before)
        return self._monitor.update(values)

    def take_sample(self, before: Snapshot, values: Mapping[str, float]) -> tuple[Point, Snapshot]:
        """The same, and the memory after it."""
        point = self.try_sample(before, values)
        return point, self._monitor.snapshot()


@dataclass(frozen=True, kw_only=True)
class Rules:
    """The rules of a file that can be watched live.

    A file is of one of two kinds. Rules that teams are trained under read the signals of `PROCESS`: each is about one
    process, a sample at each of its events. All others read those of `SIGNALS`.
    """

    rules: tuple[Rule, ...]
    """In the file's order."""
    period_ns: int | None
    """Samples are so far apart, ns; None where every decision is a sample."""
    process: bool
    """Whether they read `PROCESS`."""
    left_out: Mapping[str, str]
    """Rules that cannot be watched live, with the reason."""

    @property
    def hard(self) -> tuple[Rule, ...]:
        """Those that the shield enforces."""
        return tuple(rule for rule in self.rules if rule.hard)

    def describe(self) -> list[Any]:
        """Everything that verdicts depend on, as JSON has it."""
        return [
            self.period_ns,
            self.process,
            [[rule.name, rule.text, rule.severity, rule.hard, rule.entity] for rule in self.rules],
        ]


def read_rules(source: str | Path | SpecFile, *, untold: Collection[str] = ()) -> Rules:
    """The rules of a file for live use.

    Args:
        source: `default` for the rules that teams are trained under, `library` for those that custodes ships for
            defenders, the path of a file of rules, or one that was read already.
        untold: Signals that are not told where the rules are to be watched.

    Raises:
        CustodesError: The file cannot be read, or a hard rule cannot be enforced.
    """
    try:
        file, where = _file(source)
        # Bounds in units of time need a period; where all bounds count samples, every decision is one.
        timed = file.period_ns is not None or any(_is_timed(spec) for spec in file.specs)
        process = not timed and _of_processes(file)
        period = (file.period_ns or PERIOD_NS) if timed else None
        rules: list[Rule] = []
        left_out: dict[str, str] = {}
        for spec in file.specs:
            reason = _unusable(spec, PROCESS if process else SIGNALS, untold)
            if reason:
                left_out[spec.name] = reason
            else:
                rules.append(_rule(spec, period, where, process=process))
    except StlError as error:
        raise CustodesError(error.what, where=error.where, fix=error.fix) from None
    return Rules(rules=tuple(rules), period_ns=period, process=process, left_out=left_out)


def looking_back(asked: Formula) -> Formula:
    """`a -> always b`, asked of each sample, is `once a -> b`, which is known at once; anything else stays."""
    if not isinstance(asked, f.Implies):
        return asked
    right = looking_back(asked.right)
    if isinstance(right, f.Always) and right.bounds == f.Bounds():
        inner = looking_back(right.operand)
        return looking_back(f.Implies(left=f.Once(operand=asked.left), right=inner))
    return f.Implies(left=asked.left, right=right)


def _file(source: str | Path | SpecFile) -> tuple[SpecFile, str]:
    if isinstance(source, SpecFile):
        return source, "specs"
    if str(source) == "default":
        shipped = files("custodes.stl.rules").joinpath("team.toml")
        return (parse_specs(shipped.read_text("utf-8"), "default") if shipped.is_file() else load_library()), "default"
    return (load_library(), "library") if str(source) == "library" else (load_specs(source), str(source))


def _of_processes(file: SpecFile) -> bool:
    """Whether the rules that can run live read the signals of one process."""
    read = {name for spec in file.specs if LABEL not in spec.tags for name in analysis.signals(spec.formula)}
    return bool(read) and read <= PROCESS.keys()


def _is_timed(spec: Spec) -> bool:
    try:
        analysis.horizon(spec.formula), analysis.memory(spec.formula)
    except StlError:
        return True
    return False


def _unusable(spec: Spec, known: Collection[str], untold: Collection[str]) -> str:
    """Why a rule cannot be watched live; empty where it can."""
    if LABEL in spec.tags:
        return "it reads the true label"
    missing = [name for name in analysis.signals(spec.formula) if name not in known or name in untold]
    return f"it reads {', '.join(missing)}, which decisions do not tell" if missing else ""


def _rule(spec: Spec, period: int | None, where: str, *, process: bool) -> Rule:
    formula = spec.formula
    if period is not None:
        formula = analysis.in_samples(formula, period, text=spec.text, source=f"{where}, formula of spec {spec.name}")
    asked = looking_back(per_sample(formula))
    hard = HARD in spec.tags
    if hard and (per_sample(formula) is formula or analysis.horizon(asked) is None):
        raise CustodesError(
            "a hard rule is an always over what can be told of each sample after a while",
            where=f"{where}, spec {spec.name}",
            fix='write "always (...)" with bounded windows, or take away the tag "hard"',
        )
    return Rule(spec.name, asked, severity=spec.severity, hard=hard, entity=process or ENTITY in spec.tags)
