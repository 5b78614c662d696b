"""Who is paid for what: the team's reward shared among its agents through the vote rule.

Three ways. `individual`: each agent is paid for its own vote as if it decided. `team`: all are paid for the decision.
`pivotal`: each is paid for what its vote changed, the difference reward of Wolpert and Tumer (2002, "Optimal payoff
functions for members of collectives"),

    D_i = R(decision of all votes) - R(decision without vote i),

exact, since the rule says what any ballot decides. The vote that stands in for i's is the missing one, which the rule
counts as Allow, so D_i is what the agent did against its own silence. What is subtracted does not depend on agent i's
own action, so D_i and R have the same expected policy gradient (the argument of COMA, Foerster et al. 2018, section 4,
whose baseline averages over the agent's own actions instead); only the noise of the others is gone. D_i is 0 wherever
the decision stands without i, which is everywhere that the honest agree, so it is mixed with the individual reward.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

from torch import Tensor

from custodes.bft.votes import decisions_without_each
from custodes.errors import CustodesError

Credit = Literal["individual", "team", "pivotal"]


@dataclass(frozen=True, kw_only=True)
class Payment:
    """Turns what each decision would be worth into each agent's reward."""

    credit: Credit
    """Which of the three."""
    mix: float
    """Share of the pivotal reward in `pivotal`, 0 to 1; the rest is individual."""
    f: int
    """Liars that the vote rule stands."""

    def __call__(self, worth: Tensor, votes: Tensor, team_reward: Tensor) -> Tensor:
        """Rewards of one step.

        Args:
            worth: Float [B, 4], what each decision is worth.
            votes: Int64 [B, A].
            team_reward: Float [B, 1], what the decision that was taken is worth.

        Returns:
            Float [B, A].
        """
        agents = votes.shape[1]
        if self.credit == "team" or agents == 1:
            return team_reward.expand(-1, agents)
        own = worth.gather(1, votes)
        if self.credit == "individual":
            return own
        pivotal = team_reward - worth.gather(1, decisions_without_each(votes, self.f))
        return own.lerp_(pivotal, self.mix)


def check_credit(credit: str, mix: float = 0.0) -> None:
    """Refuse another credit than the three, and a mix out of range.

    Raises:
        CustodesError: As said.
    """
    known = get_args(Credit)
    if credit not in known:
        fix = f"use {', '.join(known[:-1])} or {known[-1]}"
        raise CustodesError(f"unknown credit '{credit}'", where="env.credit", fix=fix)
    if not 0 <= mix <= 1:
        raise CustodesError(f"a mix of {mix}", where="env.credit_mix", fix="use 0 (individual) to 1 (pivotal)")
