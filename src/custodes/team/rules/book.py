"""Rules of a file, made ready for teams: checked against what they may speak of, and taken apart."""

from __future__ import annotations

import difflib
import hashlib
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from importlib.resources import files
from pathlib import Path
from typing import Final, final

from custodes.errors import CustodesError
from custodes.stl import formula as f
from custodes.stl.analysis import check_causal, horizon, in_samples, signals
from custodes.stl.errors import StlError
from custodes.stl.policy import End
from custodes.stl.specfile import Spec, SpecFile, parse_specs
from custodes.team.rules.signals import ACTED, is_truth

DEFAULT: Final = "default"
"""Stands for the rules that are shipped, in place of a file."""
SHIPPED: Final = "team.toml"
"""Their file."""
LABEL: Final = "label"
"""Tag of rules that read the true label."""


@final
@dataclass(frozen=True, kw_only=True)
class Rule:
    """One spec, as `always (condition -> consequence)`."""

    spec: Spec
    """As it was read."""
    body: f.Formula
    """What it asks of each sample."""
    condition: f.Formula
    """A sample at which it holds is a window of the rule; true where the rule names none."""
    consequence: f.Formula
    """What has to hold there."""

    @property
    def name(self) -> str:
        """Unique in its book."""
        return self.spec.name

    @property
    def allowed(self) -> float:
        """Share of windows that may be violated."""
        return self.spec.target

    @property
    def label(self) -> bool:
        """Reads the true label: trains and scores, and does not run live."""
        return LABEL in self.spec.tags

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Names of the signals that it reads, sorted."""
        return signals(self.body)

    @cached_property
    def about_acts(self) -> bool:
        """Its windows begin with what the team does, so that doing nothing keeps it."""
        return any(name in ACTED for name in signals(self.condition))

    @cached_property
    def joint(self) -> bool:
        """Speaks of how agents vote together, so that no agent keeps or breaks it alone."""
        return "votes" in self.signals

    @cached_property
    def horizon(self) -> int | None:
        """So many events after a window's own the verdict on it is due; None: at the end of the process's life."""
        return horizon(self.body)

    @cached_property
    def duty(self) -> f.Always | None:
        """The consequence where it forbids something for a time: then a violation is known when it happens."""
        found = self.consequence
        return found if isinstance(found, f.Always) and horizon(found.operand) == 0 else None

    @cached_property
    def delay(self) -> int | None:
        """So many events after the act that decides it, at most, a violation is known; None without bound."""
        return 0 if self.duty is not None else self.horizon


@final
@dataclass(frozen=True, kw_only=True)
class RuleBook:
    """All rules of a team."""

    rules: tuple[Rule, ...]
    """In the order of their file, at least one."""
    end: End
    """What stands after the last event of a process's life: truncate or hold."""
    text: str
    """The file, as it was."""

    @cached_property
    def signals(self) -> tuple[str, ...]:
        """Names of all signals that they read, sorted."""
        return tuple(sorted({name for rule in self.rules for name in rule.signals}))

    @cached_property
    def digest(self) -> str:
        """SHA-256 of the text in hexadecimal."""
        return hashlib.sha256(self.text.encode()).hexdigest()


def read_book(source: str) -> RuleBook:
    """Rules by name of a file, or "default" for those that are shipped.

    Raises:
        CustodesError: The file can't be read, or a rule in it is wrong.
    """
    if source == DEFAULT:
        return book_of(shipped(), SHIPPED)
    try:
        text = Path(source).read_bytes().decode("utf-8")
    except UnicodeDecodeError as error:
        raise CustodesError(f"byte {error.start} is not UTF-8", where=source, fix="save the file as UTF-8") from None
    except (OSError, ValueError) as error:
        why = (getattr(error, "strerror", None) or str(error)).lower()
        fix = "name a TOML file of rules, or default for those that are shipped"
        raise CustodesError(f"cannot read it: {why}", where=source, fix=fix) from None
    return book_of(text, source)


def shipped() -> str:
    """The file of the rules that are shipped, to be copied and changed."""
    return files("custodes.stl.rules").joinpath(SHIPPED).read_text(encoding="utf-8")


def book_of(text: str, source: str = "rules") -> RuleBook:
    """Rules of a text.

    Args:
        text: TOML (`custodes.stl.specfile`).
        source: What to call it in errors.

    Raises:
        CustodesError: Anything in it is wrong, or does not fit what rules of a team are.
    """
    try:
        file = parse_specs(text, source)
        _check_file(file, source)
        return RuleBook(rules=tuple(_rule(spec, source) for spec in file.specs), end=file.end, text=text)
    except StlError as error:
        raise CustodesError(error.what, where=error.where, fix=error.fix) from None


def check_signals(book: RuleBook, known: Iterable[str]) -> None:
    """Refuse rules that speak of what there is not; cheap, so call it before anything is played.

    Args:
        book: The rules.
        known: Every signal and input.

    Raises:
        CustodesError: At the first rule that does.
    """
    names = tuple(known)
    for rule in book.rules:
        for name in rule.signals:
            if name not in names:
                near = difflib.get_close_matches(name, names, n=1)
                fix = f"did you mean {near[0]!r}?" if near else "docs/obeying.md lists what there is"
                raise CustodesError(f"there is no signal {name!r}", where=f"rule {rule.name!r}", fix=fix)


def _check_file(file: SpecFile, source: str) -> None:
    if file.period_ns is not None:
        fix = "leave period out; the signals that end in _s are in seconds"
        raise StlError("rules of a team count a process's events, and no time", where=f"{source}, period", fix=fix)
    if file.end not in ("truncate", "hold"):
        fix = 'write end = "truncate" or "hold"'
        raise StlError(f"{file.end!r} would judge what is not known yet", where=f"{source}, end", fix=fix)


def _rule(spec: Spec, source: str) -> Rule:
    where = f"{source}, spec {spec.name}"
    body = _in_events(spec, where)
    check_causal(body)
    if not (isinstance(body, f.Always) and body.bounds == f.Bounds()):
        fix = 'write formula = "always (CONDITION -> CONSEQUENCE)"'
        raise StlError("a rule of a team is asked of every event", where=where, fix=fix)
    while isinstance(body, f.Always) and body.bounds == f.Bounds():
        body = body.operand
    condition: f.Formula = body.left if isinstance(body, f.Implies) else f.Truth(value=True)
    consequence: f.Formula = body.right if isinstance(body, f.Implies) else body
    if horizon(condition) != 0:
        fix = "say with once, prev or historically what came before"
        raise StlError("its condition looks ahead", where=where, fix=fix)
    rule = Rule(spec=spec, body=body, condition=condition, consequence=consequence)
    if not rule.signals:
        raise StlError("it reads no signal", where=where, fix="docs/obeying.md lists what there is")
    truths = [name for name in rule.signals if is_truth(name)]
    if truths and not rule.label:
        fix = 'add "label" to its tags: it then trains and scores, and does not run live'
        raise StlError(f"it reads the true label ({', '.join(truths)})", where=where, fix=fix)
    return rule


def _in_events(spec: Spec, where: str) -> f.Formula:
    try:
        return in_samples(spec.formula, None)
    except StlError:
        what = "its bounds are in units of time, and samples are a process's events"
        fix = "write bounds without a unit; for time there are the signals that end in _s"
        raise StlError(what, where=where, fix=fix) from None
