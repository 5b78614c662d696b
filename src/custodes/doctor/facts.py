"""What is known about a run as a whole: its settings, its data, and what was measured once."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Ceiling:
    """How well supervised trees do on what the agents see, on lanes that they were not fitted on."""

    f1_alone: float
    """F1 at the best threshold, from the current event's inputs alone, 0 to 1."""
    f1_context: float
    """F1 with the inputs of earlier events of the lane beside them, 0 to 1."""
    f1_chance: float
    """F1 of calling everything malicious, 2 rate / (1 + rate): what inputs that say nothing reach."""
    auroc_context: float
    """Chance that a malicious event scores above a benign one, by the better of the two, 0 to 1."""
    gain: float | None
    """What the best threshold earns above the best constant action, as a share of what perfect knowledge would earn
    above it, 0 to 1; None without a reward table."""
    events: int
    """Events that were scored."""
    threats: int
    """Malicious ones among them."""


@dataclass(frozen=True, kw_only=True)
class InputLeak:
    """The input that tells most about the label by itself."""

    column: int
    """Its number, from 0."""
    auroc: float
    """Chance that it stands higher (or lower, whichever is more) for a malicious event than for a benign one."""


@dataclass(frozen=True, kw_only=True)
class LabelRule:
    """The column of the recording that tells most about the label."""

    column: str
    """Its name."""
    share: float
    """Mutual information over the label's entropy, 0 to 1."""
    is_input: bool
    """Whether the agents see it."""


@dataclass(frozen=True, kw_only=True)
class LearningSession:
    """One process that trained the run."""

    iteration: int
    """Iterations that were done when it began."""
    seed: int | None
    """Seed of the run."""
    data: str | None
    """Digest of the recording."""
    code: str | None
    """Digest of the program's source."""
    versions: str | None
    """Versions of the libraries that decide what is computed."""


@dataclass(frozen=True, kw_only=True)
class NonFinite:
    """The first tensor that held a number that is none."""

    iteration: int
    """When."""
    tensor: str
    """Its name, the first along the flow of data: observation, reward, ..., parameter."""


@dataclass(frozen=True, kw_only=True)
class Facts:
    """Known about the run; None where nothing says so."""

    agents: int | None = None
    """Agents in the team."""
    tolerated: int | None = None
    """f: liars that the vote rule stands."""
    actions: int | None = None
    """Actions that each agent chooses from."""
    per_iteration: int | None = None
    """Decisions taken in one iteration."""
    planned_iterations: int | None = None
    """Iterations of the whole training."""
    minibatches: int | None = None
    """Gradient steps per pass over a rollout."""
    gamma: float | None = None
    """Discount per step."""
    influence: float | None = None
    """For how many steps after it an action changes what can be earned: 0 where rows are independent of actions."""
    normalise_value: bool | None = None
    """Whether critics predict targets in units of their running deviation."""
    value_clip: float | None = None
    """Clip range of the value change, in the critic's units; 0 for none."""
    clip: float | None = None
    """Clip range of the probability ratio."""
    max_grad_norm: float | None = None
    """Norm that gradients are scaled down to; 0 for none."""
    base_rate: float | None = None
    """Share of malicious events among the labelled ones that training plays."""
    reward_table: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    """What each action earns on a benign and on a malicious event; None where rewards are not a table."""
    ceiling: Ceiling | None = None
    """What the inputs carry."""
    input_leak: InputLeak | None = None
    """What a single input tells."""
    label_rule: LabelRule | None = None
    """What determines the label."""
    rows_shared: float | None = None
    """Share of the validation events whose event before, in the same process or stream, was trained on, 0 to 1."""
    sessions: tuple[LearningSession, ...] | None = None
    """The processes that trained it, in order."""
    non_finite: NonFinite | None = None
    """Where a number that is none came from; None where all were finite or nobody looked."""
    specs: tuple[str, ...] | None = None
    """Names of the rules that training obeys, in the order of the series `spec_satisfied`, `spec_windows`,
    `spec_cost`, `spec_multiplier` [I, S]."""
