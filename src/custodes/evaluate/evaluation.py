"""`evaluation-<split>.json`: the record of how a greedy team did on a split, and how it is made from a play of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec
import numpy as np
from numpy.typing import ArrayLike, NDArray

from custodes.bft.votes import ACTIONS
from custodes.errors import CustodesError
from custodes.evaluate.baselines import rewards_of
from custodes.evaluate.byzantine.schema import ByzantineRecord
from custodes.evaluate.metrics import binary_metrics, contains, pr_curve
from custodes.evaluate.response.schema import BaselineResponse, Count, ResponseRecord, ShieldRecord
from custodes.evaluate.rules.schema import SpecRecord

FORMAT: Final = 1
"""Version of the record; a reader refuses another one by name."""

Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Shares = tuple[Share, Share, Share, Share]
SplitName = Literal["train", "validation", "test"]


class Scores(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The metrics that a team and a baseline share; None where a number is not defined."""

    decisions: Count
    threats: Count
    tp: Count
    fp: Count
    tn: Count
    fn: Count
    precision: Share | None
    recall: Share | None
    f1: Share | None
    pr_auc: Share | None
    auroc: Share | None
    reward_per_decision: float | None

    def __post_init__(self) -> None:
        """Refuse counts that contradict each other."""
        if self.tp + self.fn != self.threats or self.tp + self.fp + self.tn + self.fn != self.decisions:
            raise ValueError("tp + fn is not threats, or tp + fp + tn + fn is not decisions")


class Baseline(Scores, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What a baseline scored on the same rows."""

    threshold: float | None = None
    note: str = ""
    seconds: Annotated[float, msgspec.Meta(ge=0)] = 0.0
    response: BaselineResponse | None = None


class Curve(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A precision-recall curve, in the order of rising recall."""

    recall: tuple[Share, ...]
    precision: tuple[Share, ...]
    threshold: tuple[float, ...]

    def __post_init__(self) -> None:
        """Refuse lists of different length."""
        if not len(self.recall) == len(self.precision) == len(self.threshold):
            raise ValueError("recall, precision and threshold differ in length")


class PartSummary(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One part of the split."""

    records: Count
    threats: Count
    rate: Share | None


class DecisionCounts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How often the team took each action (Allow, Alert, Quarantine, Block), by true label."""

    benign: tuple[Count, Count, Count, Count]
    malicious: tuple[Count, Count, Count, Count]


class Evaluation(Scores, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """`evaluation-<split>.json`; docs/run-folder.md says what each key means."""

    format: Count = FORMAT
    dataset: str
    split: SplitName
    baselines: dict[str, Baseline]
    response: ResponseRecord | None = None
    stl: dict[str, SpecRecord] | None = None
    bft: ByzantineRecord | None = None
    shield: ShieldRecord | msgspec.UnsetType = msgspec.UNSET
    """Not there at all without a shield."""
    pr_curve: Curve | None
    action_shares: tuple[Shares, ...]
    decision_counts: DecisionCounts
    agents: Annotated[int, msgspec.Meta(ge=1)]
    f: Count
    left_out: Count
    split_summary: dict[SplitName, PartSummary]
    split_method: str
    checkpoint: str
    iteration: Count | None
    trained_decisions: Count | None
    data_digest: str
    seconds: Annotated[float, msgspec.Meta(ge=0)]
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, kw_only=True)
class Played:
    """A greedy team's play of a split, as plain arrays (of NumPy, or CPU tensors)."""

    rows: ArrayLike
    """int [M]: rows of the table in the order played, each once."""
    decisions: ArrayLike
    """int [M]: what the vote rule made of the votes, 0 Allow to 3 Block."""
    score: ArrayLike
    """float [M], finite: higher is more threatening; for the curves, PR-AUC and AUROC."""
    votes: ArrayLike
    """int [M, A]: each agent's vote, 0 Allow to 3 Block."""


@dataclass(frozen=True, kw_only=True)
class Scene:
    """What was played, and what is known about it."""

    dataset: str
    """Name of the data set."""
    split: SplitName
    """The part that was played."""
    labels: NDArray[np.integer[Any]]
    """Integers [N], the whole table: 0 benign, 1 malicious, others are left out of the scores."""
    split_rows: NDArray[np.integer[Any]]
    """int [M]: every row of the part; the play must hold exactly these."""
    rewards: NDArray[np.floating[Any]] | None
    """Floats [4, 2]: what an action earns on a benign and on a malicious event; None where that is not defined."""
    f: int
    """Liars that the vote rule stands."""
    split_summary: Mapping[str, Mapping[str, float]]
    """`Split.summary`: part to records, threats and rate."""
    split_method: str
    """How the split was made: rows, blocks, temporal, entity or given."""
    data_digest: str
    """Digest of the data set."""
    checkpoint: str
    """Checkpoint file that was played, relative to the run folder."""
    iteration: int | None = None
    """Iteration of that checkpoint."""
    trained_decisions: int | None = None
    """Decisions that the team had trained on by then."""
    warnings: tuple[str, ...] = ()
    """What a reader must know: warnings of the split, shared parameters."""


def evaluate_play(
    play: Played,
    scene: Scene,
    baselines: Mapping[str, Mapping[str, Any]],
    *,
    seconds: float,
    response: ResponseRecord | None = None,
    stl: Mapping[str, SpecRecord] | None = None,
    bft: ByzantineRecord | None = None,
    shield: ShieldRecord | None = None,
) -> Evaluation:
    """Score a play of a split.

    Args:
        play: M decisions of a team of A agents.
        scene: The rows that had to be played, with their labels and rewards.
        baselines: What `run_baselines` (or, for the response task, `run_response_baselines`) gave for the same split;
            empty for none.
        seconds: How long the play took, 0 or more.
        response: What `response_record` gave; None for the triage task.
        stl: What `spec_records` gave; None without rules.
        bft: What `bft_record` gave; None where it was not asked.
        shield: What `shielded` gave; None without a shield.

    Returns:
        The record to write; `action_shares` counts every played row, everything else only rows with a true label.

    Raises:
        ValueError: Arrays that do not fit, or rows other than the part's (a defect of the caller).
        CustodesError: A score is not finite.
    """
    rows, decisions = np.asarray(play.rows), np.asarray(play.decisions)
    votes, score = np.asarray(play.votes), np.asarray(play.score)
    _check_play(rows, decisions, votes, scene)
    labels = scene.labels[rows]
    metrics = binary_metrics(
        labels=labels,
        predictions=contains(decisions),
        scores=score,
        rewards=None if scene.rewards is None else rewards_of(decisions, labels, scene.rewards),
    )
    curve = pr_curve(labels, score)
    record = {
        **metrics,
        **_about(scene),
        "baselines": {name: dict(scores) for name, scores in baselines.items()},
        "response": response,
        "stl": None if stl is None else dict(stl),
        "bft": bft,
        **({} if shield is None else {"shield": shield}),
        "pr_curve": curve,
        "action_shares": [_shares(votes[:, agent]) for agent in range(votes.shape[1])],
        "decision_counts": {
            name: np.bincount(decisions[labels == code], minlength=len(ACTIONS)).tolist()
            for name, code in (("benign", 0), ("malicious", 1))
        },
        "agents": votes.shape[1],
        "left_out": len(rows) - metrics["decisions"],
        "seconds": seconds,
    }
    return msgspec.convert(record, Evaluation)


def encode_evaluation(evaluation: Evaluation) -> bytes:
    """The record as indented JSON with a final newline."""
    return msgspec.json.format(msgspec.json.encode(evaluation), indent=2) + b"\n"


def decode_evaluation(data: bytes | str, *, where: str = "evaluation") -> Evaluation:
    """Read and check a record.

    Args:
        data: JSON.
        where: Its file, for the error.

    Raises:
        CustodesError: Not JSON, a key is missing or unknown, or a value has the wrong type or range.
    """
    try:
        evaluation = msgspec.json.decode(data, type=Evaluation)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CustodesError(f"no evaluation: {error}", where=where, fix="evaluate the run again") from None
    if evaluation.format != FORMAT:
        raise CustodesError(
            f"evaluation of format {evaluation.format}, this version reads {FORMAT}",
            where=where,
            fix="evaluate the run again",
        )
    return evaluation


def read_evaluation(path: Path) -> Evaluation:
    """Read one `evaluation-<split>.json`.

    Raises:
        CustodesError: The file cannot be read or does not hold.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="evaluate the run again") from None
    return decode_evaluation(data, where=str(path))


def _about(scene: Scene) -> dict[str, Any]:
    """What a record says of what was played and of the team that played it."""
    return {
        "dataset": scene.dataset,
        "split": scene.split,
        "f": scene.f,
        "split_summary": {name: dict(part) for name, part in scene.split_summary.items()},
        "split_method": scene.split_method,
        "checkpoint": scene.checkpoint,
        "iteration": scene.iteration,
        "trained_decisions": scene.trained_decisions,
        "data_digest": scene.data_digest,
        "warnings": list(scene.warnings),
    }


def _shares(votes: NDArray[Any]) -> list[float]:
    """Share of each action among one agent's votes, floats [4]; all zero where there is no vote."""
    counts = np.bincount(votes, minlength=len(ACTIONS))
    return [float(share) for share in counts / max(len(votes), 1)]


def _check_play(rows: NDArray[Any], decisions: NDArray[Any], votes: NDArray[Any], scene: Scene) -> None:
    if rows.ndim != 1 or decisions.shape != rows.shape or votes.shape[:1] != rows.shape or votes.ndim != 2:
        raise ValueError(f"rows {rows.shape}, decisions {decisions.shape} and votes {votes.shape} do not fit together")
    if not np.array_equal(np.sort(rows), np.sort(scene.split_rows)):
        raise ValueError(
            f"the play holds {len(rows)} rows, not once each of the {len(scene.split_rows)} of {scene.split}"
        )
    for name, actions in (("decisions", decisions), ("votes", votes)):
        if actions.size and not (actions.min() >= 0 and actions.max() < len(ACTIONS)):
            raise ValueError(f"{name} hold {actions.min()} to {actions.max()}, not severities 0 to 3")
