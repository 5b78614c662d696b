"""What a run folder holds, read and checked; nothing is drawn here."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from custodes.errors import CustodesError
from custodes.evaluate.evaluation import Evaluation, read_evaluation
from custodes.evaluate.response.timeline import Timeline, read_timeline
from custodes.evaluate.run_schema import MetricsLine, read_metrics

SPLITS = ("test", "validation", "train")
"""Parts that may have been evaluated, the one that counts first."""


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that the data audit found (`audit.json`)."""

    name: str
    severity: str
    what: str
    evidence: dict[str, Any] = {}


class _Audit(msgspec.Struct, frozen=True, kw_only=True):
    findings: tuple[Finding, ...]


@dataclass(frozen=True, kw_only=True)
class RunFiles:
    """A run folder's content."""

    name: str
    """Name of the folder."""
    config: Mapping[str, Any]
    """`config.toml`: nested tables."""
    metrics: tuple[MetricsLine, ...]
    """`metrics.jsonl`, in the order of iterations; may be empty."""
    evaluations: tuple[Evaluation, ...]
    """The `evaluation-*.json` that are there, test first."""
    findings: tuple[Finding, ...] | None
    """`audit.json`; None where there is none."""

    timelines: tuple[Timeline, ...] = ()
    """The `timeline-*.json` that are there, test first."""

    def setting(self, key: str) -> Any:
        """A setting by its dotted key; None where it is missing."""
        value: Any = self.config
        for part in key.split("."):
            if not isinstance(value, Mapping) or part not in value:
                return None
            value = value[part]
        return value


def read_run(folder: Path) -> RunFiles:
    """Read a run folder.

    Raises:
        CustodesError: The folder or its `config.toml` is missing, or any file that is there is broken.
    """
    if not folder.is_dir():
        raise CustodesError("no such folder", where=str(folder), fix="name the folder of a run (train --out RUN)")
    evaluations = (folder / f"evaluation-{split}.json" for split in SPLITS)
    timelines = (folder / f"timeline-{split}.json" for split in SPLITS)
    metrics, audit = folder / "metrics.jsonl", folder / "audit.json"
    return RunFiles(
        name=folder.resolve().name,
        config=_read_config(folder / "config.toml"),
        metrics=read_metrics(metrics) if metrics.exists() else (),
        evaluations=tuple(read_evaluation(path) for path in evaluations if path.exists()),
        findings=_read_audit(audit) if audit.exists() else None,
        timelines=tuple(read_timeline(path) for path in timelines if path.exists()),
    )


def _read_config(path: Path) -> Mapping[str, Any]:
    try:
        return tomllib.loads(_read(path).decode("utf-8"))
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise CustodesError(f"not valid TOML: {error}", where=str(path), fix="restore the file as written") from None


def _read_audit(path: Path) -> tuple[Finding, ...]:
    try:
        return msgspec.json.decode(_read(path), type=_Audit).findings
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CustodesError(f"no audit: {error}", where=str(path), fix="audit the data again or delete it") from None


def _read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="name the folder of a run") from None
