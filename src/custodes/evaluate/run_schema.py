"""The schema of `metrics.jsonl`: one JSON object per training iteration (docs/run-folder.md says what each key means).

JSON has no infinity and no NaN: a missing number is null, an infinity the string "inf" or "-inf" (`to_json_number`,
`from_json_number`).
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final, Literal

import msgspec

from custodes.errors import CustodesError

Number = float | Literal["inf", "-inf"] | None
"""A number of any size in JSON; None where it is missing or was not measured."""
Count = Annotated[int, msgspec.Meta(ge=0)]


class SpecLine(msgspec.Struct, frozen=True, kw_only=True):
    """One rule in one iteration."""

    triggered: Count
    satisfied: Number
    robustness: Number
    cost: Number
    target: Number
    multiplier: Number
    trained: bool
    value_loss: Number = None
    eval_satisfied: Number = None


class MetricsLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `metrics.jsonl`. Keys without a default are in every line; the others may be absent in older runs."""

    iteration: Count
    decisions: Count
    value_loss: Number
    value_loss_floor: Number
    explained_variance: Number
    explained_variance_mc: Number
    ratio_error: Number
    policy_loss: Number
    entropy: Number
    kl: Number
    clip_fraction: Number
    reward_per_decision: Number
    tp: Count | None
    fp: Count | None
    tn: Count | None
    fn: Count | None
    f1: Number
    eval_f1: Number
    stl_satisfied: Number
    steps_per_second: Number
    seconds: Number
    entropy_per_agent: tuple[Number, ...] | None = None
    action_shares: tuple[tuple[Number, Number, Number, Number], ...] | None = None
    grad_norm: tuple[Number, ...] | None = None
    learning_rate: Number = None
    entropy_coefficient: Number = None
    epochs_run: Number = None
    return_mean: Number = None
    return_std: Number = None
    value_loss_update: Number = None
    value_error: Number = None
    ratio_error_max: Number = None
    eval_precision: Number = None
    eval_recall: Number = None
    eval_reward_per_decision: Number = None
    eval_response: Number = None
    specs: dict[str, SpecLine] | None = None


METRICS_KEYS: Final = tuple(field.name for field in msgspec.structs.fields(MetricsLine))
"""Every documented key, in order."""


def decode_line(line: bytes | str, *, where: str = "metrics.jsonl", strict: bool = False) -> MetricsLine:
    """Read and check one line.

    Args:
        line: A JSON object.
        where: File and line, for the error.
        strict: Refuse undocumented keys too (our own writer is held to that); else a later version's are let pass.

    Raises:
        CustodesError: Not JSON, a key is missing, or a value has the wrong type or range.
    """
    try:
        if strict:
            _refuse_unknown(msgspec.json.decode(line), where)
        return msgspec.json.decode(line, type=MetricsLine)
    except (msgspec.DecodeError, UnicodeDecodeError) as error:
        raise CustodesError(
            f"no line of metrics: {error}", where=where, fix="remove that line or train again"
        ) from None


def validate_line(line: Mapping[str, Any], *, where: str = "metrics.jsonl") -> MetricsLine:
    """Check a line before it is written: exactly the documented keys, numbers as `to_json_number` makes them.

    Raises:
        CustodesError: A key is missing or not documented, or a value has the wrong type or range.
    """
    _refuse_unknown(line, where)
    try:
        return msgspec.convert(dict(line), MetricsLine, strict=True)
    except msgspec.ValidationError as error:
        raise CustodesError(f"no line of metrics: {error}", where=where, fix="this is a defect; report it") from None


def read_metrics(path: Path) -> tuple[MetricsLine, ...]:
    """Read a whole `metrics.jsonl`.

    A last line without its newline was cut when the run was killed and is left out: resuming writes it again. Where an
    iteration occurs twice (a resumed run repeats it) the later line counts.

    Raises:
        CustodesError: The file cannot be read, or a line does not hold; the message names the line.
    """
    try:
        data = path.read_bytes()
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        raise CustodesError(f"cannot read it: {reason}", where=str(path), fix="name the folder of a run") from None
    whole, _, _cut = data.rpartition(b"\n")
    lines: dict[int, MetricsLine] = {}
    for number, text in enumerate(whole.split(b"\n") if whole else (), start=1):
        line = decode_line(text, where=f"{path}: line {number}")
        lines[line.iteration] = line
    return tuple(lines[iteration] for iteration in sorted(lines))


def to_json_number(value: float | None) -> Number:
    """A number as JSON can hold it: NaN becomes None, an infinity "inf" or "-inf"."""
    if value is None or math.isnan(value):
        return None
    if math.isinf(value):
        return "inf" if value > 0 else "-inf"
    return float(value)


def from_json_number(value: Number) -> float:
    """The inverse of `to_json_number`, with None as NaN."""
    return math.nan if value is None else float(value)


def _refuse_unknown(line: Any, where: str) -> None:
    unknown = sorted(set(line) - set(METRICS_KEYS)) if isinstance(line, Mapping) else []
    if unknown:
        raise CustodesError(f"undocumented key {', '.join(unknown)}", where=where, fix="this is a defect; report it")
