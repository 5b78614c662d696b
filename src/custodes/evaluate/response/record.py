"""The response record of a policy on a part of a recording."""

from __future__ import annotations

import time
from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

import numpy as np
from numpy.typing import NDArray

from custodes.env.response.costs import ResponseCosts
from custodes.env.response.recording import Recording
from custodes.evaluate.response.figures import figure_values, figures_of, hours_of
from custodes.evaluate.response.outcome import Reference, outcome, reference_of
from custodes.evaluate.response.schema import ResponseFigures, ResponseRecord


def in_order(recording: Recording, rows: NDArray[np.integer[Any]], values: NDArray[Any]) -> NDArray[Any]:
    """Values of rows in any order (such as `Play.rows`) in the order in which they are replayed.

    Args:
        recording: The part, M events.
        rows: Row of the data set of each value, int [M]; exactly the part's, each once.
        values: [M, ...].

    Returns:
        [M, ...], one for each of `recording.source`.

    Raises:
        ValueError: Other rows than the part's (a defect of the caller).
    """
    played = np.asarray(rows)
    place = np.argsort(played, kind="stable")
    wanted = np.argsort(recording.source, kind="stable")
    if len(values) != len(played) or not np.array_equal(played[place], recording.source[wanted]):
        raise ValueError(f"{len(values)} values of {len(played)} rows are not once each of {len(wanted)} of the part")
    found = np.empty_like(values)
    found[wanted] = values[place]
    return found


def response_record(
    recording: Recording,
    decisions: NDArray[np.integer[Any]],
    costs: ResponseCosts,
    *,
    votes: NDArray[np.integer[Any]] | None = None,
    needs_names: Iterable[str] = (),
    reference: Reference | None = None,
    seed: int = 0,
) -> ResponseRecord:
    """Replay a policy's decisions and say what they came to.

    Args:
        recording: The part, M events.
        decisions: Int [M] or [M, 3] in the order of `recording.source` (`in_order` brings them there), 0 Allow to 3
            Block; the three columns are for an entity that is free, has an alert open, or was cleared.
        costs: Costs and times.
        votes: Each agent's own, int [M, A] or [M, A, 3]; None for a policy without members.
        needs_names: Baselines that were not run because executables' names are hidden.
        reference: Both ends of the score, where they are known already.
        seed: Seed of the bootstrap.

    Returns:
        The record for `evaluation-<split>.json`; `seconds` is the time of the replay itself.

    Raises:
        ValueError: Decisions or votes that do not fit the part (a defect of the caller).
    """
    ends = reference or reference_of(recording, costs)
    begin = time.perf_counter()
    result = outcome(recording, decisions, costs)
    seconds = time.perf_counter() - begin
    active = np.unique(recording.forest.entity[recording.rows[recording.phase[recording.rows] >= 0]])
    roots = recording.forest.attack_roots(recording.malicious)
    return ResponseRecord(
        **figure_values(recording, result, ends, costs, seed=seed),
        cost_allow=ends.allow.cost,
        cost_oracle=ends.oracle.cost,
        events=len(recording.rows),
        processes=len(recording.acting),
        malicious_processes=len(active),
        attack_trees=len(np.unique(roots[active])),
        hours=hours_of(recording),
        per_member=_members(recording, votes, costs, ends, seed),
        needs_names=tuple(needs_names),
        costs=asdict(costs),
        seconds=seconds,
        events_per_second=len(recording.rows) / max(seconds, 1e-9),
    )


def _members(
    recording: Recording, votes: NDArray[np.integer[Any]] | None, costs: ResponseCosts, ends: Reference, seed: int
) -> tuple[ResponseFigures, ...]:
    """What each agent's own votes would have come to, had it been alone."""
    if votes is None:
        return ()
    if votes.ndim not in (2, 3) or len(votes) != len(recording.rows):
        raise ValueError(f"{votes.shape} votes for {len(recording.rows)} rows")
    return tuple(
        figures_of(recording, outcome(recording, votes[:, agent], costs), ends, costs, seed=seed)
        for agent in range(votes.shape[1])
    )
