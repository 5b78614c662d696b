"""A trained team at work: events in, decisions out, analysts' verdicts back."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from itertools import islice
from pathlib import Path
from typing import Any, Final, final

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from custodes.bft.votes import BLOCK, tolerated
from custodes.data.features import Encoder
from custodes.data.features.online import Limits, OnlineEncoder
from custodes.data.features.online.memory import Key
from custodes.data.views import preset_views, view_columns
from custodes.env.response.replay import CLEARED, MASKS, OPEN
from custodes.rl.networks import Policy
from custodes.serve import saving
from custodes.serve.agents import Agents, contained_of, votes_of
from custodes.serve.decision import GONE, STANDINGS, Decision, SpecVerdict
from custodes.serve.events import EventCheck
from custodes.serve.lives import Lives
from custodes.serve.loading import digest_of, policy_of
from custodes.serve.standings import Standings
from custodes.serve.watching import Watching
from custodes.team.shield import Rules, Shield, ShieldConfig, Voted, read_rules
from custodes.train.encoder_file import encoder_digest, read_encoder
from custodes.train.run_folder import RunFolder, open_run

BATCH: Final = 256
"""Events that `observe_many` takes at a time."""
EVIDENCE: Final = ("reputation", "standing")
"""Feature groups whose largest input at an event is the signal `evidence` of rules."""
ANSWER_S: Final = 86_400.0
"""Seconds after which an alert that nobody answered is open no more, by default."""


@dataclass(frozen=True, kw_only=True)
class Counts:
    """What happened since the team was loaded, a restored state's past included."""

    events: int
    """Events taken, remembered ones included."""
    decisions: int
    """Decisions made."""
    back_in_time: int
    """Events whose time lay before the latest of their stream; they count as of that."""
    forgotten: Mapping[str, int]
    """How often something was forgotten to make room: entities, streams, objects."""
    overruled: int
    """Decisions that the shield replaced."""
    unavoidable: int
    """Decisions at which every action would have violated a hard rule."""


@final
class Team:
    """The agents of a run, the vote rule, the shield, and what they remember. Made by `load`.

    Memory is bounded (`Limits`). A process that was forgotten and comes back is a new one: no history, no recurrent
    state, no open alert, nothing in force.
    """

    def __init__(
        self,
        run: RunFolder,
        policy: Policy,
        encoder: Encoder,
        *,
        limits: Limits | None = None,
        rules: Rules | None = None,
        shield: ShieldConfig | None = None,
        answer_s: float = ANSWER_S,
    ) -> None:
        config = run.config
        views = preset_views(config.team.views, config.team.agents)
        responds = config.env.task == "response"
        self.encoder = OnlineEncoder(encoder, limits, self._gone)
        """Remembers the history that inputs are made of."""
        self._agents = Agents(policy, view_columns(views, encoder), views)
        self._lives = Lives(config.env.lanes, config.env.window if responds else 0)
        self._standings = Standings(config.response, answer_s)
        self._masks = np.array(MASKS if responds else MASKS[:1], dtype=np.bool_)
        self._check = EventCheck(self.encoder.numeric)
        self.rules = rules
        """The rules that are watched; None for none."""
        if shield is None:
            shield = ShieldConfig(quarantine_s=config.response.quarantine_s, entities=self.encoder.limits.entities)
        self._watching = None if rules is None else Watching(Shield(rules, shield))
        self.agents, self.f = policy.agents, tolerated(policy.agents)
        self.identity = {
            "encoder": encoder_digest(encoder),
            "policy": digest_of(policy),
            "rules": None if self._watching is None else self._watching.shield.describe(),
            "limits": asdict(self.encoder.limits),
            "times": [config.response.quarantine_s, config.response.cleared_s, answer_s],
        }
        """What a saved state has to agree on, as JSON has it."""
        self._responds = responds
        told = [place for place, column in enumerate(encoder.columns) if column.group in EVIDENCE]
        self._evidence = np.array(told, dtype=np.int64)
        self._forgotten: list[Key] = []
        self._events = self._decisions = 0

    @classmethod
    def load(
        cls,
        run: str | Path,
        *,
        which: str = "best",
        limits: Limits | None = None,
        specs: str | Path | None = None,
        state: str | Path | None = None,
        answer_s: float = ANSWER_S,
    ) -> Team:
        """The team of a run.

        Args:
            run: Its folder.
            which: `best` (on validation; the last one where there is none) or `last` checkpoint.
            limits: How much is remembered.
            specs: Rules to watch: a file, or `default` for the shipped ones; hard ones are enforced. None for none.
            state: A file that `save` wrote, to go on from.
            answer_s: Seconds after which an alert that nobody answered is open no more.

        Raises:
            CustodesError: No such run, a damaged file, a state of another run.
        """
        folder = open_run(Path(run))
        encoder = read_encoder(folder.path, folder.encoder)
        policy = policy_of(folder, encoder, which)
        rules = None if specs is None else read_rules(specs)
        team = cls(folder, policy, encoder, limits=limits, rules=rules, answer_s=answer_s)
        if state is not None:
            team.restore(state)
        return team

    # --- events ---

    def observe(self, event: Mapping[str, Any]) -> Decision:
        """Decide on one event.

        Args:
            event: Columns of the event table (docs/data.md) and the run's numeric columns. Labels are not read.

        Raises:
            CustodesError: It is no event; the team is then as it was.
        """
        return self.decide([self.check(event)])[0]

    def observe_many(self, events: Iterable[Mapping[str, Any]]) -> list[Decision]:
        """Decide on events in their order: what `observe` says of one after the other, to the last bit, and faster.

        Raises:
            CustodesError: One of them is no event; those before it in steps of `BATCH` are decided then.
        """
        decisions: list[Decision] = []
        waiting = iter(events)
        while batch := [self.check(event) for event in islice(waiting, BATCH)]:
            decisions += self.decide(batch)
        return decisions

    def check(self, event: Mapping[str, Any]) -> dict[str, Any]:
        """What arrived as an event, for `decide`.

        Raises:
            CustodesError: It is none; the message names the column.
        """
        return self._check(event)

    def decide(self, events: Sequence[dict[str, Any]]) -> list[Decision]:
        """Decide on events that were checked, in their order."""
        taken, places, fresh = [], [], []
        for event in events:
            taken.append(self._take(event))
            place, begins = self._lives.enter(event)
            places.append(place)
            fresh.append(begins)
        inputs = self.encoder.inputs()
        evidence = self._evidence_of(inputs)
        logits = self._agents.vote(inputs, [event["channel"] for event in events], places, fresh)
        votes, decided = votes_of(logits, self._masks, self.f)
        score = np.sort(contained_of(logits), axis=1)[:, -1 - self.f].tolist()
        self._decisions += len(events)
        return [
            self._decision(event["time"], replace(each, evidence=evidence[row]), votes[row], decided[row], score[row])
            for row, (event, each) in enumerate(zip(events, taken, strict=True))
        ]

    def remember(self, events: Iterable[Mapping[str, Any]]) -> int:
        """Take events into the history without deciding on them, such as those of the days before; returns how many.

        The agents' recurrent memory is left as it is.

        Raises:
            CustodesError: One of them is no event.
        """
        count = 0
        for event in events:
            self._settle(self._take(self.check(event)))
            count += 1
            if count % BATCH == 0:
                self.encoder.inputs()
        self.encoder.inputs()
        return count

    def verdict(self, entity: str, malicious: bool | None, *, stream: str = "host", time: int | None = None) -> bool:
        """Take an analyst's answer to an alert.

        A malicious process is blocked from now on. One that is not is let go, and neither alerted on nor quarantined
        for `response.cleared_s`.

        Args:
            entity: The process.
            malicious: What the analyst found; None when the alert was dropped without an answer.
            stream: Its stream.
            time: Of the answer [ns UTC]; None for the time of the latest event of the stream.

        Returns:
            False for a process that is not remembered: nothing is done then.
        """
        key = (stream, entity)
        known = self.encoder.process(key)
        if known is None or not known.events:
            return False
        self._standings.answer(key, malicious, self.encoder.clock(stream) if time is None else time)
        return True

    def withheld(self, entity: str, *, stream: str = "host") -> bool:
        """Whether a process is in quarantine at the time of the latest event of its stream."""
        return self._standings.held((stream, entity), self.encoder.clock(stream))

    @property
    def counts(self) -> Counts:
        """What happened so far."""
        judged = {"overruled": 0, "unavoidable": 0} if self._watching is None else self._watching.counts
        return Counts(
            events=self._events,
            decisions=self._decisions,
            back_in_time=self.encoder.back_in_time,
            forgotten=self.encoder.dropped,
            **judged,
        )

    # --- state ---

    def save(self, path: str | Path) -> None:
        """Write everything that is remembered to a file, all or nothing; `load(state=...)` goes on to the last bit.

        Raises:
            CustodesError: The disk refused.
        """
        saving.save(self, Path(path))

    def restore(self, path: str | Path) -> None:
        """Go on where `save` was called.

        Raises:
            CustodesError: The file is damaged, or of another run, other limits or other rules.
        """
        saving.restore(self, Path(path))

    @property
    def recurrent(self) -> Tensor:
        """The agents' recurrent state by place, float32 [S, A, places, H]."""
        return self._agents.memory[:, :, : self._lives.places].clone()

    def memory(self) -> dict[str, Any]:
        """Everything else that is remembered, as JSON has it (infinities as Python's json writes them)."""
        return {
            "encoder": self.encoder.state(),
            "lives": self._lives.state(),
            "standings": self._standings.state(),
            "watching": None if self._watching is None else self._watching.state(),
            "counts": [self._events, self._decisions],
        }

    def recall(self, memory: dict[str, Any], recurrent: Tensor) -> None:
        """Take up what `memory` and `recurrent` gave.

        Raises:
            CustodesError: It is not what these gave; so do ValueError, LookupError and TypeError say.
        """
        self._lives.restore(memory["lives"])
        if recurrent.shape[2] != self._lives.places:
            raise ValueError(f"recurrent state of {recurrent.shape[2]} places, not {self._lives.places}")
        self.encoder.restore(memory["encoder"])
        self._standings.restore(memory["standings"])
        if self._watching is not None:
            self._watching.restore(memory["watching"])
        self._events, self._decisions = map(int, memory["counts"])
        self._agents.restore(recurrent)

    # --- inside ---

    def _gone(self, key: tuple[str, str | None]) -> None:
        """The encoder forgot a process or a stream: so do all others."""
        stream, entity = key
        if entity is None:
            self._lives.leave_stream(stream)
            return
        self._lives.leave((stream, entity))
        self._forgotten.append((stream, entity))

    def _take(self, event: dict[str, Any]) -> _Taken:
        """Take an event into the history."""
        key: Key = (event["stream"], event["entity"])
        before = self.encoder.process(key)
        linked = before is not None and before.link is not None
        process, time = self.encoder.take(event)
        forgotten, self._forgotten = self._forgotten, []
        self._events += 1
        return _Taken(
            key=key,
            time=time,
            forgotten=tuple(forgotten),
            parent=None if linked else process.link,
            born=process.first_clock,
        )

    def _evidence_of(self, inputs: NDArray[np.float32]) -> list[float]:
        """Largest input of the groups `reputation` and `standing` at each event; 0 where the run has neither."""
        if not len(self._evidence):
            return [0.0] * len(inputs)
        return [float(value) for value in inputs[:, self._evidence].max(axis=1)]

    def _settle(self, taken: _Taken) -> None:
        """Bring what is in force up to an event, in the order in which events came."""
        for key in taken.forgotten:
            self._standings.forget(key)
        if taken.parent is not None:
            self._standings.inherit(taken.key, taken.parent, taken.born)

    def _decision(self, time: int, taken: _Taken, votes: list[list[int]], decided: list[int], score: float) -> Decision:
        """What is decided on an event, and put it in force."""
        self._settle(taken)
        key, now = taken.key, taken.time
        standing = self._standings.of(key, now)
        mask = 0 if standing == GONE or len(decided) == 1 else standing
        action, overruled = decided[mask], None
        specs: tuple[SpecVerdict, ...] = ()
        if standing == GONE:
            action = BLOCK
        elif self._watching is not None:
            voted = Voted(
                entity=key,
                time=now,
                votes=tuple(votes[mask]),
                score=score,
                decision=action,
                reporting=self.agents,
                evidence=taken.evidence,
                open=standing == OPEN,
                cleared=standing == CLEARED,
            )
            action, overruled, specs = self._watching.judge(voted)
        alert = self._standings.act(key, action, now) if self._responds else False
        return Decision(
            time=time,
            stream=key[0],
            entity=key[1],
            action=action,
            votes=tuple(votes[mask]),
            score=score,
            standing=STANDINGS[standing],
            alert=alert,
            overruled=overruled,
            specs=specs,
        )


@dataclass(frozen=True, kw_only=True, slots=True)
class _Taken:
    """An event that was taken, and what has to be done about it before it is decided on."""

    key: Key
    """Its process."""
    time: int
    """The time that counts [ns]."""
    forgotten: tuple[Key, ...]
    """Processes that were forgotten for it."""
    parent: Key | None
    """The parent that it was the first to name; None where it was not."""
    born: int
    """When its process was seen first [ns]."""
    evidence: float = 0.0
    """Largest of its inputs that say how bad what it touches, or runs, is known to be."""
