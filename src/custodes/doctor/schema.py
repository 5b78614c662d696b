"""The files that a diagnosis reads beside `metrics.jsonl`; docs/run-folder.md says what each key means."""

from __future__ import annotations

from typing import Annotated, Final, Literal

import msgspec

DIAGNOSTICS: Final = "diagnostics.jsonl"
"""One record per iteration."""
SESSIONS: Final = "sessions.jsonl"
"""One line for each process that trained the run."""
SAMPLE: Final = "inputs.safetensors"
"""What the agents saw in the first iterations."""

Number = float | Literal["inf", "-inf"] | None
Count = Annotated[int, msgspec.Meta(ge=0)]
ByAgent = tuple[Number, ...]


class DiagnosticLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `diagnostics.jsonl`."""

    iteration: Count
    ratio_elements: Number
    ratio_error_per_agent: ByAgent | None
    ratio_error_reset: Number
    ratio_error_chunk: Number
    ratio_error_inside: Number
    repeat_error: Number
    vote_surprise: ByAgent
    target_error: Number
    target_spread: Number
    ends_cut: Count | None
    ends_terminal: Count | None
    ends_wrongly_terminated: Count | None
    ends_wrongly_truncated: Count | None
    decision_mismatch: Number
    decision_mismatch_without: ByAgent | None
    pivotal: ByAgent | None
    contained: Number
    greedy_contained: Number
    greedy_shares: tuple[ByAgent, ...] | None
    reward_min: Number
    reward_max: Number
    reward_std: Number
    reward_at_ends: Number
    reward_by_action: tuple[ByAgent, ByAgent] | None
    reward_mismatch: Number
    reward_lagged: Number
    advantage_signal: ByAgent | None
    action_share: ByAgent | None
    advantage_signal_lagged: ByAgent | None
    inputs_constant: ByAgent | None
    input_rms_max: Number
    input_shift: Number
    input_stretch: Number
    grad_first: ByAgent | None
    grad_policy_head: ByAgent | None
    grad_value_head: ByAgent | None
    clipped_steps: Number
    threats: Count
    unlabelled: Count
    gradient_steps: Count
    parameter_step: Number
    parameters_mark_before: Number
    parameters_mark_after: Number
    generators_mark_before: Number
    generators_mark_after: Number
    optimiser_steps_before: Number
    optimiser_steps_after: Number
    outside_draws: Count
    non_finite: str | None
    record_seconds: Number


class SessionFacts(msgspec.Struct, frozen=True, kw_only=True):
    """What training knows about the run as a whole: the fields of `custodes.doctor.Facts` of the same names."""

    agents: Count
    tolerated: Count
    actions: Count
    per_iteration: Count
    planned_iterations: Count
    minibatches: Count
    gamma: float
    influence: float | None
    normalise_value: bool
    value_clip: float
    clip: float
    max_grad_norm: float
    base_rate: float | None
    reward_table: tuple[tuple[float, ...], tuple[float, ...]] | None
    label_rule: tuple[str, float, bool] | None
    rows_shared: float | None


class SessionLine(msgspec.Struct, frozen=True, kw_only=True):
    """One line of `sessions.jsonl`."""

    iteration: Count
    seed: int
    data: str
    code: str
    versions: str
    injected: str | None
    facts: SessionFacts


DIAGNOSTIC_KEYS: Final = tuple(field.name for field in msgspec.structs.fields(DiagnosticLine))
SESSION_KEYS: Final = tuple(field.name for field in msgspec.structs.fields(SessionLine))
FACT_KEYS: Final = tuple(field.name for field in msgspec.structs.fields(SessionFacts))
OCCASIONAL: Final = tuple(
    key for key in DIAGNOSTIC_KEYS[DIAGNOSTIC_KEYS.index("target_error") : DIAGNOSTIC_KEYS.index("clipped_steps")]
)
"""Keys that are null in most iterations of a long run."""
