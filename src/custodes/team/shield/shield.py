"""The shield: after the vote, before anything happens.

A voted action that would violate a hard rule for sure is replaced by the least severe action that violates none; also
one that would put the forecast of a rule below its conformal bound. It comes after the vote because a liar ignores
masks, and it is a function of nothing but the ballots so far, so that whoever counts the votes comes to the same action
and no minority can talk it out of it.

For sure means: with the action, the upper bound of what a rule says about a sample whose windows are over is below 0.
A sample that is still open counts as if it ended now: what the rest of its period brings is not known, and a shield
that waited for it would come too late.

When every action violates a hard rule (one was violated before, and a window still holds it; or two rules contradict
each other), the rules give no ground to overrule the team for their own sake. Then the action with the fewest
violations counts, those of critical rules first, then warnings, then infos; among equals the team's own, else the least
severe. Robustness does not decide, since rules have different units. It is counted as unavoidable.
"""

from __future__ import annotations

from collections.abc import Collection, Hashable
from dataclasses import dataclass, replace
from typing import Any, Final, Literal, final

from custodes.bft.votes import ACTIONS, ALERT, BLOCK, QUARANTINE
from custodes.stl.streaming import Point
from custodes.team.shield.forecast import ForecastRule
from custodes.team.shield.rules import Rule, Rules
from custodes.team.shield.signals import RECENT, SECOND, Levels, Tally, process_sample, sample
from custodes.team.shield.state import BEGINNING, Scope, ShieldState
from custodes.team.shield.verdicts import Finding, Judgement, Voted

LONGEST_GAP: Final = 10_000
"""Empty samples of one gap that are looked at at most."""

Order = Literal["least", "nearest"]


@dataclass(frozen=True, kw_only=True)
class ShieldConfig:
    """How the shield works."""

    quarantine_s: float = 900.0
    """Seconds until a Quarantine that is not renewed ends, above 0."""
    entities: int = 10_000
    """Processes that are remembered, 1 or more; one that is forgotten counts as new."""
    order: Order = "least"
    """What replaces an unsafe action: the least severe safe one, or the safe one nearest to it, below before above."""
    critical: Collection[Hashable] = ()
    """Processes on the list of critical ones."""

    def __post_init__(self) -> None:
        """Refuse values out of range."""
        if not self.quarantine_s > 0 or self.entities < 1:
            raise ValueError("quarantine_s is above 0, and entities 1 or more")


@dataclass(frozen=True, kw_only=True, slots=True)
class _Trial:
    """What one action would come to."""

    action: int
    violated: tuple[tuple[Rule | ForecastRule, float], ...]
    """Hard rules, with the number that is below 0."""
    points: tuple[Point, ...]
    """Of the process's rules, then of the team's."""
    entity: Scope
    """Of the process, after it."""
    team: Scope
    """Of the team, after it."""
    alerts: bool
    """Whether it raises an alert."""
    contains: bool
    """Whether it begins a containment."""


@final
class Shield:
    """Watches rules while decisions are made, and enforces the hard ones.

    Args:
        rules: What is watched.
        config: How.
        forecasts: Rules about the whole of a process's first samples, bounded by a conformal forecast.
    """

    def __init__(
        self, rules: Rules, config: ShieldConfig | None = None, forecasts: tuple[ForecastRule, ...] = ()
    ) -> None:
        self.rules, self.config, self.forecasts = rules, config or ShieldConfig(), forecasts
        self._own = tuple(rule for rule in rules.rules if rule.entity)
        self._all = tuple(rule for rule in rules.rules if not rule.entity)
        names = [*(rule.name for rule in rules.rules), *(forecast.name for forecast in forecasts)]
        self._place = {name: place for place, name in enumerate(names)}
        self._lasts = int(self.config.quarantine_s * SECOND)
        self._critical = frozenset(self.config.critical)
        self._kept = max((forecast.length for forecast in forecasts), default=0)

    def describe(self) -> list[Any]:
        """Everything that a judgement depends on beside the ballots, as JSON has it."""
        config = self.config
        listed = sorted(map(repr, self._critical))
        settings = [config.quarantine_s, config.entities, config.order, listed]
        return [self.rules.describe(), settings, [forecast.describe() for forecast in self.forecasts]]

    def begin(self) -> ShieldState:
        """The state before the first vote."""
        return ShieldState(self._scope(self._all, 0))

    def judge(self, state: ShieldState, voted: Voted) -> Judgement:
        """Judge one vote, and put what comes of it into the state.

        Args:
            state: Of all votes before it; changed.
            voted: The vote.
        """
        if voted.time > state.now:
            self._advance(state, voted.time)
        own, team = self._seen(state, voted)
        trial, first = self._choose(state, own, team, voted)
        self._settle(state, voted, trial)
        findings = self._findings(trial)
        if first is None:
            return Judgement(action=trial.action, findings=findings, safe=not trial.violated)
        rule, value = first
        how = "forecast of" if isinstance(rule, ForecastRule) else "robustness of"
        why = f"{ACTIONS[voted.decision]} would take the {how} {rule.name} to {value:.6g}, below 0"
        if trial.violated:
            why += ", and no action is safe"
        return Judgement(action=trial.action, spec=rule.name, why=why, safe=not trial.violated, findings=findings)

    # --- before the vote ---

    def _seen(self, state: ShieldState, voted: Voted) -> tuple[Scope, Scope]:
        """Both scopes with the vote in their tally, at its time."""
        known = state.entities.get(voted.entity)
        if known is None:
            own = replace(self._scope(self._own, self._period(state.now)), born=state.now)
        else:
            own = self._caught_up(known, voted, state)
        own = replace(own, tally=own.tally.seen(voted), events=own.events + 1)
        return own, replace(state.team, tally=state.team.tally.seen(voted))

    def _advance(self, state: ShieldState, time: int) -> None:
        """Let time pass for the team: quarantines run out, and samples close."""
        target = self._period(time)
        if state.now == BEGINNING:
            state.team = replace(state.team, period=target)
        gap = target - state.team.period
        if self.rules.period_ns and gap > 0:
            reach = min(LONGEST_GAP, max((rule.reach for rule in self._all), default=1))
            first = max(state.team.period, target - reach)
            for period in range(first, target):
                end = (period + 1) * self.rules.period_ns
                self._release(state, end - 1)
                state.team = self._closed(self._all, state.team, self._levels(state, end - 1), period + 1)
        self._release(state, time)
        state.now = time

    def _release(self, state: ShieldState, time: int) -> None:
        """Quarantines that ended before a time are over; the events of a moment come before what ends at it."""
        while state.held:
            entity, until = next(iter(state.held.items()))
            if until >= time:
                return
            del state.held[entity]
            state.team = replace(state.team, tally=state.team.tally.release(entity))

    def _caught_up(self, scope: Scope, voted: Voted, state: ShieldState) -> Scope:
        """A process's own samples up to now, of which nothing was known in the meantime."""
        target, period_ns = self._period(state.now), self.rules.period_ns
        if period_ns and target > scope.period:
            reach = min(LONGEST_GAP, max((rule.reach for rule in self._own), default=1))
            begin = max(scope.period, target - reach)
            for period in range(begin, target):
                end = (period + 1) * period_ns - 1
                scope = _freed(scope, voted.entity, end)
                scope = self._closed(self._own, scope, self._own_levels(scope, voted.entity, end), period + 1)
        return _freed(scope, voted.entity, state.now)

    def _closed(self, rules: tuple[Rule, ...], scope: Scope, levels: Levels, period: int) -> Scope:
        """A scope after its open sample has ended, and the sample after it is open."""
        values = sample(scope.tally, levels)
        monitors = tuple(
            rule.take_sample(before, values)[1] for rule, before in zip(rules, scope.monitors, strict=True)
        )
        return replace(scope, period=period, tally=Tally(), monitors=monitors)

    # --- the vote ---

    def _choose(
        self, state: ShieldState, own: Scope, team: Scope, voted: Voted
    ) -> tuple[_Trial, tuple[Rule | ForecastRule, float] | None]:
        """The action to take, and the first hard rule that the voted one would violate."""
        asked = self._try(state, own, team, voted, voted.decision)
        if not asked.violated:
            return asked, None
        trials = [asked]
        for action in self._candidates(voted.decision):
            trial = self._try(state, own, team, voted, action)
            if not trial.violated:
                state.overruled += 1
                return trial, asked.violated[0]
            trials.append(trial)
        state.unavoidable += 1
        least = min(trials, key=lambda trial: (_weight(trial), trial is not asked, trial.action))
        state.overruled += least is not asked
        return least, asked.violated[0]

    def _candidates(self, decision: int) -> list[int]:
        others = [action for action in range(len(ACTIONS)) if action != decision]
        if self.config.order == "nearest":
            others.sort(key=lambda action: (action > decision, abs(action - decision)))
        return others

    def _try(self, state: ShieldState, own: Scope, team: Scope, voted: Voted, action: int) -> _Trial:
        """What an action would come to."""
        held = BLOCK if own.blocked else QUARANTINE if voted.entity in state.held else 0
        own = replace(own, tally=own.tally.act(voted, action, held))
        team = replace(team, tally=team.tally.act(voted, action, held))
        if held < BLOCK:
            until = state.now + self._lasts if action == QUARANTINE else own.held_until
            own = replace(own, held_until=until, blocked=action == BLOCK)
        own_values = self._own_values(state, own, voted, action, held)
        team_values = sample(team.tally, self._levels_after(state, voted.entity, action, held))
        own, points = self._tried(self._own, own, own_values)
        team, more = self._tried(self._all, team, team_values)
        violated: list[tuple[Rule | ForecastRule, float]] = [
            (rule, point.upper)
            for rule, point in zip((*self._own, *self._all), (*points, *more), strict=True)
            if rule.hard and point.time >= 0 and point.upper < 0
        ]
        if self._kept and len(own.samples) < self._kept:
            own = replace(own, samples=(*own.samples, tuple(own_values.values())))
            bounds = ((forecast, forecast.bound(own.samples)) for forecast in self.forecasts)
            violated += [(forecast, bound) for forecast, bound in bounds if bound is not None and bound < 0]
        violated.sort(key=lambda each: self._place[each[0].name])
        return _Trial(
            action=action,
            violated=tuple(violated),
            points=(*points, *more),
            entity=own,
            team=team,
            alerts=action in (ALERT, QUARANTINE) and not (voted.cleared or voted.open) and held < BLOCK,
            contains=action >= QUARANTINE and action > held and not (voted.cleared and action == QUARANTINE),
        )

    def _tried(
        self, rules: tuple[Rule, ...], scope: Scope, values: dict[str, float]
    ) -> tuple[Scope, tuple[Point, ...]]:
        """What a scope's rules say if its open sample ended now; it has where every decision is a sample."""
        if self.rules.period_ns:
            return scope, tuple(
                rule.try_sample(before, values) for rule, before in zip(rules, scope.monitors, strict=True)
            )
        taken = [rule.take_sample(before, values) for rule, before in zip(rules, scope.monitors, strict=True)]
        scope = replace(scope, tally=Tally(), monitors=tuple(memory for _, memory in taken))
        return scope, tuple(point for point, _ in taken)

    def _own_values(self, state: ShieldState, own: Scope, voted: Voted, action: int, held: int) -> dict[str, float]:
        """A sample of the process's signals with an action in force."""
        if not self.rules.process:
            return sample(own.tally, self._own_levels(own, voted.entity, state.now))
        oldest = state.judged - RECENT + 1
        return process_sample(
            voted,
            action,
            held=held,
            event=own.events,
            age=state.now - own.born,
            alerts=sum(number >= oldest for number in state.alerts),
            contained=sum(number >= oldest for number in state.contained),
        )

    # --- after the vote ---

    def _settle(self, state: ShieldState, voted: Voted, trial: _Trial) -> None:
        """Put the action in force."""
        entity, was_blocked = voted.entity, trial.entity.blocked and trial.action != BLOCK
        if trial.action == QUARANTINE and not was_blocked:
            state.held.pop(entity, None)
            state.held[entity] = trial.entity.held_until
        elif trial.action == BLOCK:
            state.held.pop(entity, None)
            if entity in self._critical:
                state.critical.add(entity)
        oldest = state.judged - RECENT + 1
        if trial.alerts:
            state.alerts = (*(number for number in state.alerts if number >= oldest), state.judged)
        if trial.contains:
            state.contained = (*(number for number in state.contained if number >= oldest), state.judged)
        state.judged += 1
        state.team = trial.team
        state.entities[entity] = trial.entity
        state.entities.move_to_end(entity)
        if len(state.entities) > self.config.entities:
            forgotten, _ = state.entities.popitem(last=False)
            state.held.pop(forgotten, None)
            state.dropped += 1

    def _findings(self, trial: _Trial) -> tuple[Finding, ...]:
        rules = (*self._own, *self._all)
        found = [
            Finding(spec=rule.name, sample=point.time, lower=point.lower, upper=point.upper)
            for rule, point in zip(rules, trial.points, strict=True)
        ]
        return tuple(sorted(found, key=lambda each: self._place[each.spec]))

    # --- levels ---

    def _levels(self, state: ShieldState, time: int) -> Levels:
        oldest = next(iter(state.held.values()), None)
        age = 0 if oldest is None else max(time - (oldest - self._lasts), 0)
        critical = len(state.critical) + sum(entity in state.held for entity in self._critical)
        return Levels(quarantined=len(state.held), oldest_ns=age, critical=critical)

    def _levels_after(self, state: ShieldState, entity: Hashable, action: int, held: int) -> Levels:
        """The team's levels if an action were in force."""
        before = self._levels(state, state.now)
        if held == BLOCK or action < QUARANTINE:
            return before
        listed = entity in self._critical and held == 0
        oldest = before.oldest_ns
        if held == QUARANTINE and next(iter(state.held)) == entity:
            # The oldest is renewed, or gone: the next one is the oldest then.
            rest = iter(state.held.values())
            next(rest)
            second = next(rest, None)
            oldest = 0 if second is None else max(state.now - (second - self._lasts), 0)
        change = (1 if action == QUARANTINE else 0) - (1 if held == QUARANTINE else 0)
        return Levels(quarantined=before.quarantined + change, oldest_ns=oldest, critical=before.critical + listed)

    def _own_levels(self, scope: Scope, entity: Hashable, time: int) -> Levels:
        held = not scope.blocked and scope.held_until >= time and scope.held_until != BEGINNING
        age = max(time - (scope.held_until - self._lasts), 0) if held else 0
        critical = entity in self._critical and (held or scope.blocked)
        return Levels(quarantined=int(held), oldest_ns=age, critical=int(critical))

    def _period(self, time: int) -> int:
        return time // self.rules.period_ns if self.rules.period_ns else 0

    @staticmethod
    def _scope(rules: tuple[Rule, ...], period: int) -> Scope:
        return Scope(period=period, tally=Tally(), monitors=tuple(rule.start for rule in rules))


def _freed(scope: Scope, entity: Hashable, time: int) -> Scope:
    """A process whose quarantine ended before a time is free."""
    if scope.blocked or scope.held_until == BEGINNING or scope.held_until >= time:
        return scope
    return replace(scope, held_until=BEGINNING, tally=scope.tally.release(entity))


def _weight(trial: _Trial) -> tuple[int, int, int]:
    """Violations of critical rules, of warnings, of infos."""
    severities = [rule.severity for rule, _ in trial.violated]
    return severities.count("critical"), severities.count("warning"), severities.count("info")
