"""How much worthier than Allow an action must look before an agent takes it: tuned for cost when training is done.

Baselines choose their thresholds by replaying the training period (evaluate/response/thresholds.py); here an agent
chooses one number in the same way. It is added to the agent's logit of Allow, which at a warm start by worth is a worth
over a temperature. A fit by least squares puts what few processes show between what it is and what most others are, so
an innocent process that resembles attackers is told from them by how much worth an action seems, not by its sign.

Each agent is replayed as if it were alone, so that what one of them lacks is not hidden by the others. Of the reserves
that cost about the least the middle one is taken, which leaves room on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

import numpy as np
import torch
from numpy.typing import NDArray

from custodes.bft.votes import ALLOW
from custodes.env.lanes import build_lanes
from custodes.env.response.replay import MASKS
from custodes.evaluate.response.outcome import outcome
from custodes.evaluate.response.record import in_order
from custodes.rl.networks import Network, Policy
from custodes.rl.state import load_policy
from custodes.team.team import Team
from custodes.team.workload import Workload
from custodes.train import checkpoint
from custodes.train.session import Session

CANDIDATES: Final = (0.0, 0.25, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0)
"""Reserves that are tried, nats, ascending."""
KEPT: Final = "reserve"
"""Name in a checkpoint of the reserves that are in its policies, a list of one for each agent."""


def keep_reserve(session: Session) -> None:
    """Tune the reserves of the run's best checkpoint and put them into it, unless they are there already.

    `last` stays as training left it, so that a resumed run goes on to the same bits, and comes here again to the same.

    Raises:
        CustodesError: The checkpoint is damaged, or the disk refused.
    """
    folder = session.run.checkpoints
    saved = checkpoint.load_file(folder / checkpoint.BEST)
    if KEPT in saved.scalars:
        return
    policy = session.learner.policy
    own = {name: value.clone() for name, value in policy.state_dict().items()}
    try:
        load_policy(policy, dict(saved.tensors))
        reserves = tune_reserves(policy, session.workload)
        changed = {f"policy.{name}": value.clone() for name, value in policy.state_dict().items()}
    finally:
        policy.load_state_dict(own)
    checkpoint.save_best(folder, {**saved.tensors, **changed}, {**saved.scalars, KEPT: list(reserves)})


def tune_reserves(policy: Policy, workload: Workload) -> tuple[float, ...]:
    """Find each agent's reserve on the rows that training may look at, and put it into its network.

    The rows are those of the validation part, or with `train.refit` all that were trained on; their inputs leave each
    process's own label out, yet the policies were fitted to them.

    Args:
        policy: Agents with parameters of their own; changed in place.
        workload: What is played, of the response task.

    Returns:
        The reserves, nats, one for each agent.
    """
    costs = costs_by_reserve(policy, workload)
    chosen = tuple(
        CANDIDATES[middle(costs[:, agent], workload.costs.false_quarantine)] for agent in range(costs.shape[1])
    )
    _add(policy, chosen)
    return chosen


def costs_by_reserve(policy: Policy, workload: Workload) -> NDArray[np.float64]:
    """What each agent's own votes cost with each of `CANDIDATES`, float64 [C, A]; the policy ends as it was."""
    rows = workload.training_rows() if workload.refit else workload.split.rows("validation")
    lanes = build_lanes(workload.dataset, rows, workload.env.lanes, workload.env.window)
    recording, team = workload.recording(np.sort(lanes.order)), Team.of(policy)
    biases = [_bias(network).clone() for network in policy.networks()[: policy.agents]]
    costs = np.zeros((len(CANDIDATES), policy.agents))
    for place, reserve in enumerate(CANDIDATES):
        _add(policy, (reserve,) * policy.agents)
        play = team.play(workload.table, lanes, MASKS)
        for network, bias in zip(policy.networks(), biases, strict=False):
            _bias(network).copy_(bias)
        assert play.votes_by_state is not None
        for agent in range(policy.agents):
            votes = in_order(recording, play.rows, play.votes_by_state[:, agent])
            costs[place, agent] = outcome(recording, votes, workload.costs).cost
    return costs


def middle(costs: Sequence[float] | NDArray[np.float64], slack: float) -> int:
    """The middle one of the neighbours around the cheapest that cost at most `slack` more; the lower of two."""
    cheapest = int(np.argmin(costs))
    enough = np.asarray(costs) <= costs[cheapest] + slack
    low = high = cheapest
    while low > 0 and enough[low - 1]:
        low -= 1
    while high + 1 < len(enough) and enough[high + 1]:
        high += 1
    return (low + high) // 2


def _bias(network: Network) -> torch.Tensor:
    assert network.policy_head is not None
    return network.policy_head.bias.data


def _add(policy: Policy, reserves: Sequence[float]) -> None:
    for agent, reserve in enumerate(reserves):
        _bias(policy.actor(agent))[ALLOW] += reserve
