"""Every finding by name: how grave it is, its cause and what to change in plain words, and what follows from it.

The order goes from the mechanism to its effects: broken numbers, then the run itself, the update, the returns, the
rewards, the inputs, the data, the team, the rules, the optimiser, and last what policies and critics look like.
docs/doctor.md lists the same names with the thresholds and where they are from; a test compares the two.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from custodes.doctor.finding import Severity


@dataclass(frozen=True, kw_only=True)
class Entry:
    """The words of one finding."""

    severity: Severity
    """Where the detector does not say otherwise."""
    cause: str
    """The likely cause."""
    change: str
    """What to change."""
    explains: tuple[str, ...] = ()
    """Findings that follow from it, where they did not begin before it."""


_POLICY: Final = ("entropy-never-falls", "entropy-collapse", "greedy-unlike-sampled", "idle-agent", "one-sided-team")
"""What a policy looks like whose gradient is wrong."""
_CRITIC: Final = ("critic-not-learning", "value-target-scale")
"""What a critic looks like whose targets or inputs are wrong."""
_STEPS: Final = ("update-too-large", "update-too-small", "gradient-explosion", "gradient-vanishing", "clipping-always")
"""What the steps look like where the loss is wrong."""
_SIGNAL: Final = ("advantage-no-signal",)

CATALOGUE: Final[Mapping[str, Entry]] = {
    "non-finite": Entry(
        severity="critical",
        cause="a number that is none (NaN or infinite) entered the learner; all that is computed from it is lost",
        change="look at what makes the first such tensor; check divisions, logarithms and empty means there",
        explains=(*_POLICY, *_CRITIC, *_STEPS, *_SIGNAL, "return-unpredictable"),
    ),
    "resume-mismatch": Entry(
        severity="critical",
        cause="the run was continued with something else than it was left with",
        change="resume with the run's own code, data, seed and whole checkpoint, or train a new run",
        explains=("unreproducible",),
    ),
    "unreproducible": Entry(
        severity="warning",
        cause="randomness outside of the seeded state decides what is computed; the same seed gives another run",
        change="draw from the learner's or the environment's own generator, whose state is saved",
    ),
    "ratio-broadcast": Entry(
        severity="critical",
        cause="old and new log-probabilities differ in shape, and their difference is broadcast: the loss averages "
        "over unrelated pairs of samples",
        change="bring both to one shape before they are subtracted, and assert it",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, "lying-agent"),
    ),
    "dropout-mismatch": Entry(
        severity="critical",
        cause="the networks are random (dropout): collection and update use different ones, so the ratio is not 1 "
        "before the first step",
        change="turn dropout off in collection and update, or keep its mask for both",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, *_CRITIC, "value-units", "lying-agent"),
    ),
    "start-state-mismatch": Entry(
        severity="critical",
        cause="the update starts its sequences from another recurrent state than collection had there",
        change="store the state at the start of each sequence in collection, and start the update from it",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, *_CRITIC, "value-units", "lying-agent"),
    ),
    "reset-misaligned": Entry(
        severity="critical",
        cause="the recurrent state is reset at another step in the update than in collection: the mask of step t is "
        "done of step t-1",
        change="reset before the first step of each episode, in collection and update alike",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, *_CRITIC, "value-units", "lying-agent"),
    ),
    "sequence-order": Entry(
        severity="critical",
        cause="the update plays the steps of a sequence in another order than they were collected in, such as a "
        "(time, slot) array reshaped the wrong way round",
        change="cut sequences along time first, then move the axes",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, *_CRITIC, "value-units", "lying-agent"),
    ),
    "normaliser-drift": Entry(
        severity="critical",
        cause="collection and update see the same events differently, as where a running normaliser moved in between",
        change="freeze the statistics for an iteration, or keep the normalised inputs that were acted on",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, *_CRITIC, "value-units", "lying-agent"),
    ),
    "ratio-not-one": Entry(
        severity="critical",
        cause="the policy that is updated is not the one that acted; the record does not say why",
        change="compare shapes, start states, resets and inputs of collection and update",
        explains=(*_POLICY, *_STEPS, *_SIGNAL, *_CRITIC, "value-units", "lying-agent"),
    ),
    "value-units": Entry(
        severity="critical",
        cause="the values that advantages are formed with are not the critic's, as where they were not denormalised",
        change="use denormalised values in advantages and returns, and normalise the target in the loss alone",
        explains=(*_POLICY, *_CRITIC, *_SIGNAL, "return-target", "return-unpredictable"),
    ),
    "return-target": Entry(
        severity="critical",
        cause="the value target is not the return of the rewards that were paid",
        change="form returns from rewards and values, before advantages are normalised",
        explains=(*_POLICY, *_CRITIC, "return-unpredictable"),
    ),
    "value-head-frozen": Entry(
        severity="critical",
        cause="no gradient reaches the value head: it is frozen or detached, and its values stay what they were",
        change="look for a detached value, a value coefficient of 0, or parameters that the optimiser does not hold",
        explains=("critic-not-learning",),
    ),
    "truncation-as-termination": Entry(
        severity="critical",
        cause="episodes that were cut count as ended: the return stops where it should go on with the value",
        change="report terminated and truncated apart, and bootstrap where an episode was cut",
        explains=_CRITIC,
    ),
    "termination-as-truncation": Entry(
        severity="critical",
        cause="episodes that ended count as cut: the return goes on with the value of what never comes",
        change="report terminated and truncated apart, and do not bootstrap where an episode ended",
        explains=_CRITIC,
    ),
    "metric-window": Entry(
        severity="critical",
        cause="the logged counts cover a part of the iteration only, so reward and F1 are of few decisions and jump",
        change="count over every decision of the iteration",
    ),
    "lying-agent": Entry(
        severity="critical",
        cause="votes are not drawn from the agent's policy: it is compromised, or its actions are exchanged on the way",
        change="look at what sends that agent's votes; leave it out of the team until its votes match its policy",
        explains=("update-too-large", "idle-agent", "greedy-unlike-sampled", "advantage-no-signal"),
    ),
    "votes-lost": Entry(
        severity="critical",
        cause="the decisions are not what the vote rule makes of the votes: an agent's votes do not arrive",
        change="look at that agent's way to the vote, and at the rule that decides",
        explains=("idle-agent", "reward-unlike-table"),
    ),
    "reward-misaligned": Entry(
        severity="critical",
        cause="rewards are paid for another action than the one that they stand beside",
        change="pay step t for the action of step t, or delay action and value with it",
        explains=(*_POLICY, *_CRITIC, *_SIGNAL),
    ),
    "reward-unlike-table": Entry(
        severity="critical",
        cause="rewards are not those of the reward table",
        change="look at what changes them between the environment and the learner",
        explains=(*_POLICY, *_CRITIC, *_SIGNAL),
    ),
    "reward-saturated": Entry(
        severity="critical",
        cause="rewards are clipped: gains and losses of different size are all paid alike",
        change="scale rewards instead of clipping them, so that their order and ratio stay",
        explains=(*_POLICY, *_CRITIC, *_SIGNAL, "reward-unlike-table"),
    ),
    "reward-constant": Entry(
        severity="critical",
        cause="every decision is paid the same, so no action is better than another",
        change="look at the reward's units and at what it is computed from",
        explains=(
            *_POLICY,
            *_CRITIC,
            *_SIGNAL,
            *_STEPS,
            "reward-unlike-table",
            "reward-saturated",
            "one-action-optimal",
        ),
    ),
    "return-unpredictable": Entry(
        severity="critical",
        cause="the returns sum rewards that neither inputs nor actions say anything about: the value loss stands at "
        "its floor, and advantages are noise",
        change="use a discount no longer than the actions' influence (rl.gamma = 0 where an action changes nothing "
        "that follows)",
        explains=(*_POLICY, *_SIGNAL, "critic-not-learning"),
    ),
    "inputs-constant": Entry(
        severity="critical",
        cause="inputs of an agent never change, so it cannot tell one event from another",
        change="look at the agent's view and at how its inputs are encoded",
        explains=(*_POLICY, *_CRITIC, *_SIGNAL, *_STEPS, "input-ceiling", "one-action-optimal"),
    ),
    "input-scale": Entry(
        severity="critical",
        cause="inputs are far from unit scale: the first layer saturates, and events look alike behind it",
        change="standardise the inputs on the training part",
        explains=(*_POLICY, *_CRITIC, *_SIGNAL, *_STEPS, "inputs-drift"),
    ),
    "inputs-drift": Entry(
        severity="critical",
        cause="the inputs change their scale as training goes: what was learned no longer fits",
        change="fit the encoder once, on the training part, and keep it",
        explains=(*_POLICY, *_CRITIC, *_STEPS),
    ),
    "label-is-a-rule": Entry(
        severity="warning",
        cause="one column of the recording determines the label: a score measures whether that rule is learned again",
        change="keep the column out of the inputs, and claim no detection on these labels",
        explains=("leaking-input",),
    ),
    "leaking-input": Entry(
        severity="critical",
        cause="one input tells the label by itself: the agents read the answer",
        change="take the input out",
    ),
    "one-action-optimal": Entry(
        severity="critical",
        cause="under this reward and base rate one action is best for every event, whatever is learned from the inputs",
        change="change the reward table, so that the best threshold lies within what a calibrated model reaches",
        explains=(*_POLICY, *_SIGNAL),
    ),
    "input-ceiling": Entry(
        severity="critical",
        cause="the inputs cannot carry the task: boosted trees on them do no better than chance, or need the context",
        change="give the agents inputs that tell the classes apart, or the order of events that a memory needs",
        explains=(*_POLICY, *_SIGNAL, "one-action-optimal"),
    ),
    "class-too-rare": Entry(
        severity="warning",
        cause="malicious events are so rare that whole batches hold none",
        change="draw lanes with malicious events more often (env.lane_share), or use larger batches",
        explains=(*_SIGNAL, "one-action-optimal", "input-ceiling", "entropy-collapse", "one-sided-team"),
    ),
    "split-leakage": Entry(
        severity="warning",
        cause="held-out events have neighbours in the training part: validation scores measure memory",
        change="split by entity, by blocks or by time",
    ),
    "consensus-f0": Entry(
        severity="warning",
        cause="the vote rule stands no liar (f = 0): a single agent decides, whatever a success rate says",
        change="use at least four agents",
    ),
    "spec-always-violated": Entry(
        severity="critical",
        cause="a rule is violated whatever the policy does: its penalty is a constant, and noise beside the reward",
        change="check the rule against a perfect policy, and widen its bounds or window until that one satisfies it",
        explains=("multiplier-windup", *_SIGNAL),
    ),
    "multiplier-windup": Entry(
        severity="warning",
        cause="a rule's multiplier grows while its cost does not fall: it has outgrown the reward",
        change="cap the multiplier or lower its step size, and check that the rule can be satisfied",
    ),
    "value-clip": Entry(
        severity="critical",
        cause="the value clip is far narrower than the targets' spread: the critic cannot follow them",
        change="turn the value clip off (rl.value_clip = 0), or normalise the targets",
        explains=("critic-not-learning", "value-target-scale"),
    ),
    "value-target-scale": Entry(
        severity="critical",
        cause="value targets are far from unit scale and not normalised: the value loss drowns the policy's",
        change="normalise values (rl.normalise_value = true), or scale the rewards",
        explains=("critic-not-learning", "gradient-explosion", "clipping-always", *_POLICY),
    ),
    "gradient-explosion": Entry(
        severity="critical",
        cause="gradients are orders of magnitude above the clip: every step has the same length, whatever was learned",
        change="take means, not sums, over samples; scale rewards and inputs",
        explains=("clipping-always", "update-too-large"),
    ),
    "gradient-vanishing": Entry(
        severity="critical",
        cause="no gradient reaches a network's first layer: nothing behind the heads learns",
        change="look for shut gates, saturated units and detached tensors between input and head",
        explains=(*_POLICY, *_CRITIC, "update-too-small"),
    ),
    "update-too-large": Entry(
        severity="critical",
        cause="each update moves the policy far outside the clip range: it forgets what it has just learned",
        change="lower rl.learning_rate or rl.epochs, or set rl.target_kl",
        explains=(*_POLICY, "critic-not-learning", "clipping-always"),
    ),
    "update-too-small": Entry(
        severity="critical",
        cause="updates leave the policy where it is",
        change="raise rl.learning_rate",
        explains=("entropy-never-falls", "critic-not-learning", "greedy-unlike-sampled"),
    ),
    "clipping-always": Entry(
        severity="info",
        cause="every gradient is clipped, so the step's length says nothing about the loss",
        change="raise rl.max_grad_norm, or leave it where the run learns",
    ),
    "advantage-no-signal": Entry(
        severity="critical",
        cause="advantages do not depend on the actions taken: the policy gradient is noise",
        change="check that rewards reach the action that earned them, and that the discount is no longer than its "
        "influence",
        explains=_POLICY,
    ),
    "critic-not-learning": Entry(
        severity="critical",
        cause="the value loss stays far above its floor: the critic does not learn what its inputs tell",
        change="look at the value coefficient, at the size of the steps, and at what changes the targets",
    ),
    "entropy-collapse": Entry(
        severity="critical",
        cause="the policy took one action for everything before it had learned to tell events apart",
        change="raise rl.entropy_coefficient (and check its sign), or lower the learning rate",
        explains=("one-sided-team", "idle-agent", "greedy-unlike-sampled"),
    ),
    "entropy-never-falls": Entry(
        severity="critical",
        cause="the policy stays uniform although the advantages favour some actions",
        change="lower rl.entropy_coefficient against the scale of the advantages",
        explains=("greedy-unlike-sampled", "idle-agent"),
    ),
    "greedy-unlike-sampled": Entry(
        severity="warning",
        cause="the greedy team decides unlike the sampled one that was trained: it lives on actions that are drawn now "
        "and then but are never the most probable",
        change="pay each agent for its own vote (env.credit), lower the entropy bonus, or evaluate the sampled team",
    ),
    "idle-agent": Entry(
        severity="warning",
        cause="an agent never changes a decision: the team would do the same without it",
        change="look at its view and at its policy; with shared parameters all agents may vote alike",
    ),
    "one-sided-team": Entry(
        severity="warning",
        cause="the team takes one side for all events",
        change="look at the other findings; without any, compare with the best constant action",
    ),
}
