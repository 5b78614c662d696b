"""The costs of a rollout: every rule judged over the lives in it, for the team and for each agent's own votes.

An agent is judged by what its own vote would have been as the decision, in the states that the team's decisions led to
(as `env.credit = "individual"` pays it, and "pivotal" in part); with credit "team", and for rules on how agents vote
together, everybody bears the team's costs. Windows that a rollout leaves open are kept until they are known, so nothing
is judged twice and nothing is left out but what a window of events cuts off.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, final

import torch
from torch import Tensor
from torch.nn.functional import one_hot, pad

from custodes.bft.votes import ALERT, BLOCK, QUARANTINE
from custodes.env.response.layout import HELD
from custodes.env.response.replay import CLEARED, OPEN
from custodes.errors import CustodesError
from custodes.stl import formula as f
from custodes.stl.analysis import memory
from custodes.team.rules.acted import Met, acted_signals, after_all
from custodes.team.rules.book import Rule, RuleBook
from custodes.team.rules.ground import Ground
from custodes.team.rules.judge import Lives, Verdicts, costs_of, holds, judge
from custodes.team.rules.runs import Runs, runs_of
from custodes.team.rules.signals import ACTED, RECENT
from custodes.team.rules.watch import Seen

LONGEST: Final = 16_384
"""Events of a life that are kept at most."""
_STATES: Final = 4
_TRACES: Final = 64
_COUNTED: Final = ("alerts_recent", "contained_recent")


@final
@dataclass(frozen=True, kw_only=True)
class Tally:
    """Windows of one rule on which the verdict became known in a rollout."""

    windows: int
    """How many."""
    weight: float
    """How many they stand for in the recording, where lanes are drawn unlike it."""
    violated: float
    """The same of those that were violated."""
    robustness: float | None
    """Mean robustness, infinite ones left out; None without any."""


@final
@dataclass(frozen=True, kw_only=True)
class Settled:
    """What a rollout of T steps of B slots and A agents costs under S rules."""

    cost: Tensor
    """float32 [T, B, A, S]: 1 where a violation becomes known, else 0."""
    context: Tensor
    """float32 [T, B, A, K]: what the rules are waiting for; for critics."""
    tallies: tuple[Tally, ...]
    """Of the team's decisions, by rule."""


@final
class Ledger:
    """Judges rollouts one after the other.

    Args:
        ground: The lanes.
        book: S rules.
        slots: B.
        agents: A.
        individual: Each agent bears the costs of its own votes; else of the team's decisions.
        longest: Events of the longest lane.

    Raises:
        CustodesError: A rule looks back farther than can be kept.
    """

    def __init__(
        self, ground: Ground, book: RuleBook, *, slots: int, agents: int, individual: bool, longest: int
    ) -> None:
        self.ground, self.book, self.individual = ground, book, individual
        self.agents, self.groups = agents, agents + 1 if individual else 1
        self.acting = tuple(name for name in book.signals if name in ACTED)
        self.history = _history(book, longest)
        device = ground.clock.device
        self._device = device
        self._place = torch.zeros(self.history, slots, dtype=torch.int64, device=device)
        self._acted = torch.zeros(len(self.acting), self.history, slots, self.groups, device=device)
        self._kept = torch.zeros(slots, dtype=torch.int64, device=device)
        self._fresh = torch.ones(slots, dtype=torch.bool, device=device)
        self._until = torch.full((slots, agents), -torch.inf, dtype=torch.float64, device=device)
        self._recent = torch.zeros(max(1, -(-RECENT // slots)) - 1, 3, dtype=torch.float64, device=device)
        # What critics need to know of a rule whose violations are known later than they are decided.
        self._late = tuple(rule for rule in book.rules if rule.delay != 0)

    @property
    def context(self) -> int:
        """K."""
        return _STATES + 1 + len(self._late)

    @torch.no_grad()
    def settle(self, seen: Seen, *, judged: bool = True) -> Settled | None:
        """Judge a rollout, and keep what the next one needs of it.

        Args:
            seen: T steps, right after those of the last call.
            judged: False only keeps, and returns None.

        Raises:
            StlError: A signal is not finite.
        """
        begins = torch.cat((self._fresh[None], seen.over[:-1]))
        acted = self._acted_signals(seen, begins)
        place = torch.cat((self._place, seen.place))
        every = None
        if self.acting:
            every = torch.cat((self._acted, torch.stack([acted[name] for name in self.acting])), dim=1)
        settled = self._judge(seen, begins, acted, place, every) if judged else None
        self._keep(seen, begins, place, every)
        return settled

    def state(self) -> dict[str, Tensor]:
        """All that the next call depends on, as copies on the CPU."""
        return {name: getattr(self, f"_{name}").cpu().clone() for name in _KEPT}

    def load_state(self, state: Mapping[str, Tensor]) -> None:
        """Continue exactly from `state()`.

        Raises:
            CustodesError: It is of other rules, lanes or slots.
        """
        for name in _KEPT:
            own, value = getattr(self, f"_{name}"), state.get(name)
            if value is None or value.shape != own.shape or value.dtype != own.dtype:
                raise CustodesError(
                    f"what was kept for the rules ({name}) is of another run", where="checkpoint", fix="train a new run"
                )
        for name in _KEPT:
            setattr(self, f"_{name}", state[name].to(self._device, copy=True))

    # --- signals ---

    def _acted_signals(self, seen: Seen, begins: Tensor) -> dict[str, Tensor]:
        """Signals of what was done, float32 [T, B, G]; the team comes last."""
        state, bad = seen.state[..., None], self.ground.malicious[seen.place][..., None]
        decision, held = seen.decision[..., None], state == HELD
        if self.individual:
            decision = torch.cat((seen.votes, decision), dim=-1)
            held = torch.cat((self._own_held(seen, begins), held), dim=-1)
        support = (seen.votes >= ALERT).sum(-1, keepdim=True)
        found = acted_signals(
            Met(
                open=(state == OPEN) | (state == HELD),
                cleared=state == CLEARED,
                held=held,
                decision=decision,
                votes=support,
                malicious=bad,
            )
        )
        shape = (*seen.place.shape, self.groups)
        made = {name: values.to(torch.float32).expand(shape) for name, values in found.items()}
        for name, values in self._counted(seen, made).items():
            made[name] = values[:, None, None].to(torch.float32).expand(shape)
        return made

    def _own_held(self, seen: Seen, begins: Tensor) -> Tensor:
        """Whether each agent's own votes would withhold the process by now, bool [T, B, A]; `_until` is carried on.

        An analyst would answer the alert in `analyst_s`: for good if the process had turned malicious by then.
        """
        clock, turns = self.ground.clock[seen.place], self.ground.turns[seen.place]
        free = seen.state != CLEARED
        answered = clock + self.ground.analyst_s
        after = torch.where(turns <= answered, torch.inf, answered)
        held = torch.empty(seen.votes.shape, dtype=torch.bool, device=self._device)
        until = self._until
        for t in range(seen.steps):
            until = torch.where(begins[t, :, None], -torch.inf, until)
            here = clock[t, :, None] <= until
            held[t] = here
            begun = (seen.votes[t] == QUARANTINE) & free[t, :, None] & ~here
            until = torch.where(begun, after[t, :, None], until)
            until = torch.where(seen.votes[t] == BLOCK, torch.inf, until)
        self._until = until
        return held

    def _counted(self, seen: Seen, made: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Alerts and containments per RECENT events over the latest ones, float64 [T]; `_recent` is carried on."""
        weight = seen.weight.double()
        acts = torch.stack(
            [
                (made["alert"][..., -1].double() * weight).sum(1),
                (made["contain"][..., -1].double() * weight).sum(1),
                weight.sum(1),
            ],
            dim=1,
        )
        window = len(self._recent) + 1
        every = torch.cat((self._recent, acts))
        total = torch.cat((every.new_zeros(1, 3), every.cumsum(0)))
        over = total[window:] - total[:-window]
        self._recent = every[len(every) - window + 1 :]
        share = RECENT * over[:, :2] / over[:, 2:].clamp(min=RECENT)
        # Differences of sums are off by rounding, which a limit such as `<= 5` must not see.
        return {name: share[:, k].round(decimals=6) for k, name in enumerate(_COUNTED)}

    # --- verdicts ---

    def _judge(
        self, seen: Seen, begins: Tensor, acted: Mapping[str, Tensor], place: Tensor, every: Tensor | None
    ) -> Settled:
        T, B = seen.place.shape
        rules, groups = self.book.rules, self.groups
        cost = torch.zeros(T, B, groups, len(rules), device=self._device)
        waits = torch.zeros(T, B, groups, len(self._late), device=self._device)
        sums = [_Sum() for _ in rules]
        runs = runs_of(seen, begins, self._kept, self.history, self.ground.goes_on)
        for which, samples in runs.by_length():
            some = runs.some(which)
            lives, step, new = self._lives(some, samples, place, every)
            for index, rule in enumerate(rules):
                verdicts = judge(rule, lives, self.book.end)
                sums[index].add(verdicts.first(len(which) * groups), some, groups, seen.weight)
                _spread(cost[..., index], costs_of(rule, lives, verdicts, self.book.end), some, step, new)
            for index, rule in enumerate(self._late):
                _spread(waits[..., index], holds(_asked(rule), lives, self.book.end), some, step, new)
        for index, rule in enumerate(rules):
            if rule.joint:
                cost[..., index] = cost[..., -1:, index]
        states = one_hot(seen.state, _STATES).float()[:, :, None].expand(T, B, groups, _STATES)
        context = torch.cat((states, acted["contained"][..., None], waits), dim=-1)
        return Settled(
            cost=self._by_agent(cost), context=self._by_agent(context), tallies=tuple(each.tally() for each in sums)
        )

    def _by_agent(self, values: Tensor) -> Tensor:
        """[T, B, G, ...] to [T, B, A, ...]: each agent's own, or the team's for all."""
        return values[:, :, :-1] if self.individual else values.expand(-1, -1, self.agents, -1)

    def _lives(self, runs: Runs, samples: int, place: Tensor, every: Tensor | None) -> tuple[Lives, Tensor, Tensor]:
        """Traces [n * G and more, L] of some runs; beside them each sample's new step [n, L], and whether it is one.

        Traces of length 1 that stand for nothing follow, so that few numbers of traces occur.
        """
        count, groups, slots = len(runs.slot), self.groups, place.shape[1]
        lengths = runs.real + runs.extra.long()
        sample = torch.arange(samples, device=self._device)
        real = torch.minimum(sample, runs.real[:, None] - 1)
        at = (runs.begin[:, None] + real) * slots + runs.slot[:, None]
        gone = runs.extra[:, None] & (sample == runs.real[:, None])
        row = place.flatten()[at]
        signals: dict[str, Tensor] = {}
        for name, values in self.ground.signals.items():
            here = after_all(name, values[row], gone)
            signals[name] = here[:, None].expand(-1, groups, -1).reshape(count * groups, -1)
        for index, name in enumerate(self.acting):
            assert every is not None
            here = every[index].flatten(0, 1)[at].transpose(1, 2)
            signals[name] = after_all(name, here, gone[:, None]).reshape(count * groups, -1)
        complete = runs.complete[:, None].expand(-1, groups).clone()
        if self.individual:
            # Where the team's Block ended a life, what an agent's own votes would still have done is not known.
            complete[:, :-1] &= ~runs.blocked[:, None]
        more = -(count * groups) % (_TRACES * groups)
        lives = Lives(
            signals={name: pad(values, (0, 0, 0, more)) for name, values in signals.items()},
            lengths=pad(lengths.repeat_interleave(groups), (0, more), value=1),
            complete=pad(complete.flatten(), (0, more), value=False),
        )
        return lives, runs.first[:, None] + real - runs.kept[:, None], sample >= runs.kept[:, None]

    # --- what is kept ---

    def _keep(self, seen: Seen, begins: Tensor, place: Tensor, every: Tensor | None) -> None:
        """Keep the latest steps of the lanes that go on."""
        T = seen.steps
        step = torch.arange(T, device=self._device)[:, None]
        latest = torch.where(begins, step, -1).max(dim=0).values
        length = torch.where(latest >= 0, T - latest, self._kept + T)
        self._fresh = seen.over[-1]
        self._kept = torch.where(self._fresh, 0, length.clamp(max=self.history))
        self._place = place[len(place) - self.history :]
        if every is not None:
            self._acted = every[:, every.shape[1] - self.history :]


_KEPT: Final = ("place", "acted", "kept", "fresh", "until", "recent")


def _asked(rule: Rule) -> f.Formula:
    """Whether a window of a rule began so lately that it may be open."""
    far = rule.horizon
    upper = None if far is None else f.Duration(amount=far)
    return f.Once(operand=rule.condition, bounds=f.Bounds(upper=upper))


def _spread(target: Tensor, values: Tensor, runs: Runs, step: Tensor, new: Tensor) -> None:
    """Mark in [T, B, G] the new samples [n * G, L] at which a bool holds; a sample behind the last is the last's."""
    count, groups = len(runs.slot), target.shape[-1]
    marked = values[: count * groups].reshape(count, groups, -1) & new[:, None]
    inside = torch.arange(marked.shape[-1], device=target.device) < (runs.real + runs.extra.long())[:, None]
    run, group, sample = (marked & inside[:, None]).nonzero(as_tuple=True)
    target[step[run, sample], runs.slot[run], group] = 1.0


class _Sum:
    """Counts of one rule over the groups of runs."""

    def __init__(self) -> None:
        self.windows, self.weight, self.violated = 0, 0.0, 0.0
        self.robustness, self.finite = 0.0, 0

    def add(self, verdicts: Verdicts, runs: Runs, groups: int, weight: Tensor) -> None:
        """Take in the team's windows that became known."""
        count = len(runs.slot)
        triggered, violated, robustness, known = (
            values.reshape(count, groups, -1)[:, -1]
            for values in (verdicts.triggered, verdicts.violated, verdicts.robustness, verdicts.known)
        )
        now = triggered & (known >= runs.kept[:, None])
        if not bool(now.any()):
            return
        each = weight[runs.first, runs.slot].double()[:, None]
        self.windows += int(now.sum())
        self.weight += float((now * each).sum())
        self.violated += float((now * violated * each).sum())
        found = robustness[now]
        found = found[found.isfinite()]
        self.robustness += float(found.double().sum())
        self.finite += len(found)

    def tally(self) -> Tally:
        """The sums."""
        mean = self.robustness / self.finite if self.finite else None
        return Tally(windows=self.windows, weight=self.weight, violated=self.violated, robustness=mean)


def _history(book: RuleBook, longest: int) -> int:
    """Events that have to be kept of a life."""
    farthest = 0
    for rule in book.rules:
        behind, ahead = memory(rule.body), rule.horizon
        reach = longest - 1 if behind is None or ahead is None else min(behind + ahead, longest - 1)
        if reach > LONGEST:
            raise CustodesError(
                f"it looks back over whole lives, and the longest lane has {longest:,} events",
                where=f"rule {rule.name!r}",
                fix="set env.window, or bound its windows",
            )
        farthest = max(farthest, reach)
    return farthest
