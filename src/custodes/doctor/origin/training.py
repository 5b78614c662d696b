"""The original's training loop: collect 2,048 shuffled records, update every agent, score the greedy policy."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import ACTIONS, QUARANTINE, tolerated
from custodes.doctor.origin.defects import Repairs
from custodes.doctor.origin.material import Material
from custodes.doctor.origin.network import OriginNetwork
from custodes.doctor.origin.rollout import Played, collect, decide, play
from custodes.doctor.origin.settings import OriginSettings
from custodes.doctor.origin.update import Report, update
from custodes.rl.returns import Targets, targets
from custodes.rl.statistics import action_shares, counts, f1


@dataclass(frozen=True, kw_only=True)
class Iteration:
    """What one iteration did, measured where it happened."""

    number: int
    """From 1."""
    played: Played
    """The rollout."""
    learnt: Targets
    """Targets and advantages [T, 1, A], units of reward."""
    values: Tensor
    """[T, A]: the acting critics' predictions, units of reward."""
    reports: tuple[Report, ...]
    """By agent."""
    logged: dict[str, Any]
    """tp, fp, tn, fn, f1 and reward_per_decision as the original's counters hold them at the end of the iteration."""
    counted: int
    """Decisions that these counters cover."""
    greedy: dict[str, Any]
    """tp, fp, tn, fn, f1 of the greedy policy on validation records, and its action shares."""


@dataclass(kw_only=True)
class _Learner:
    """What one iteration hands to the next."""

    networks: list[OriginNetwork]
    optimisers: list[torch.optim.Adam]
    scales: list[tuple[float, float]]
    """Mean and deviation of the last targets, by agent: the unit of the critics' outputs."""
    generator: torch.Generator
    """Draws actions and the rules' random signals."""


def train(
    material: Material,
    settings: OriginSettings,
    repairs: Repairs,
    watch: Callable[[Iteration], None] = lambda iteration: None,
) -> tuple[Iteration, ...]:
    """Train the original's agents; the same arguments give the same bits.

    Args:
        material: What they play.
        settings: Sizes, coefficients and seed.
        repairs: Which defects are repaired.
        watch: Called after each iteration.

    Returns:
        The iterations.
    """
    done = []
    with torch.random.fork_rng(devices=[]):
        # Dropout and the networks' first weights are drawn from torch's own generator.
        torch.manual_seed(settings.seed)
        learner = _begin(material, settings, repairs)
        rows = _batches(material, settings)
        held_out = _held_out(material, settings)
        for number in range(1, settings.iterations + 1):
            iteration = _iterate(number, learner, material, next(rows), held_out, settings, repairs)
            watch(iteration)
            done.append(iteration)
    return tuple(done)


def agents_of(repairs: Repairs) -> int:
    """Agents of the team."""
    return 3 if repairs.broken("consensus-f0") else 4


def gamma_of(settings: OriginSettings, repairs: Repairs) -> float:
    """Discount in use."""
    return settings.gamma if repairs.broken("return-unpredictable") else 0.0


def _begin(material: Material, settings: OriginSettings, repairs: Repairs) -> _Learner:
    agents = agents_of(repairs)
    networks = [OriginNetwork(material.inputs.shape[1], settings) for _ in range(agents)]
    return _Learner(
        networks=networks,
        optimisers=[torch.optim.Adam(n.parameters(), lr=settings.learning_rate, fused=True) for n in networks],
        scales=[(0.0, 1.0)] * agents,
        generator=torch.Generator().manual_seed(settings.seed),
    )


def _batches(material: Material, settings: OriginSettings) -> Iterator[NDArray[np.int64]]:
    """Training rows in a random order, one more than a rollout at a time, pass after pass."""
    rng = np.random.default_rng(settings.seed)
    rows = material.split.rows("train")
    rest = np.zeros(0, np.int64)
    while True:
        while len(rest) <= settings.rollout:
            rest = np.concatenate([rest, rng.permutation(rows)])
        yield rest[: settings.rollout + 1]
        rest = rest[settings.rollout :]


def _held_out(material: Material, settings: OriginSettings) -> NDArray[np.int64]:
    """Validation rows that the greedy policy is scored on, in a random order."""
    rows = np.random.default_rng(settings.seed).permutation(material.split.rows("validation"))
    return rows[: settings.evaluated]


def _iterate(
    number: int,
    learner: _Learner,
    material: Material,
    rows: NDArray[np.int64],
    held_out: NDArray[np.int64],
    settings: OriginSettings,
    repairs: Repairs,
) -> Iteration:
    inputs, label = torch.from_numpy(material.inputs[rows]), torch.from_numpy(material.dataset.labels[rows]).long()
    played = collect(learner.networks, inputs, label, settings, repairs, learner.generator)
    learnt, values = _targets(played, learner.scales, settings, repairs)
    reports = []
    for agent, (network, optimiser) in enumerate(zip(learner.networks, learner.optimisers, strict=True)):
        returns = learnt.returns[:, 0, agent]
        learner.scales[agent] = (float(returns.mean()), float(returns.std()) + 1e-8)
        scale = learner.scales[agent]
        reports.append(update(network, optimiser, played, agent, learnt, scale, settings, repairs))
    first = len(label) - 1 - (len(label) - 1) % settings.episode if repairs.broken("metric-window") else 0
    return Iteration(
        number=number,
        played=played,
        learnt=learnt,
        values=values,
        reports=tuple(reports),
        logged=_logged(played, first),
        counted=len(played.label) - first,
        greedy=greedy_score(learner.networks, material, held_out, settings, repairs),
    )


def _targets(
    played: Played, scales: list[tuple[float, float]], settings: OriginSettings, repairs: Repairs
) -> tuple[Targets, Tensor]:
    """Targets [T, 1, A] and the acting critics' values [T, A], both in units of reward."""
    mean, deviation = torch.tensor(scales).t()
    values = played.value * deviation + mean
    steps, agents = len(played.reward), len(scales)
    ends = (torch.arange(1, steps + 1) % settings.episode == 0)[:, None, None]
    learnt = targets(
        settings.returns,
        reward=played.reward[:, None, None].expand(steps, 1, agents),
        value=values[:-1, None],
        next_value=values[1:, None],
        terminated=ends,
        done=ends,
        gamma=gamma_of(settings, repairs),
        lam=settings.lam,
    )
    return learnt, values[:-1]


def _logged(played: Played, first: int) -> dict[str, Any]:
    """What the original's counters hold: everything since they last began anew."""
    table = counts(played.decision[first:], played.label[first:], QUARANTINE)
    return {
        "reward_per_decision": float(played.reward[first:].mean()),
        **table,
        "f1": f1(table["tp"], table["fp"], table["fn"]) or 0.0,
    }


@torch.no_grad()
def greedy_score(
    networks: list[OriginNetwork],
    material: Material,
    rows: NDArray[np.int64],
    settings: OriginSettings,
    repairs: Repairs,
) -> dict[str, Any]:
    """Counts and action shares of the likeliest actions on held-out records, without dropout.

    The original starts at the zero state for each record; with `start-state-mismatch` repaired the state is carried on.
    """
    inputs = torch.from_numpy(material.inputs[rows])
    logits = []
    for network in networks:
        if repairs.broken("start-state-mismatch"):
            logits.append(network(inputs[None], network.start(len(inputs)), dropout=False).logits[0])
        else:
            logits.append(play(network, inputs, settings.chunk, dropout=False)[0])
    action = torch.stack(logits, 1).argmax(-1)
    table = counts(decide(action, repairs), torch.from_numpy(material.dataset.labels[rows]).long(), QUARANTINE)
    shares = action_shares(action, len(ACTIONS))
    return {**table, "f1": f1(table["tp"], table["fp"], table["fn"]) or 0.0, "action_shares": shares}


def tolerated_of(repairs: Repairs) -> int:
    """How many liars the team's consensus stands, f."""
    return tolerated(agents_of(repairs))
