"""What each agent of a team sees: feature groups and channels."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
from numpy.typing import NDArray

from custodes.data.features import GROUPS, Encoder
from custodes.data.schema import CHANNELS
from custodes.errors import CustodesError

if TYPE_CHECKING:
    from custodes.data.dataset import Dataset

ViewKind = Literal["replicated", "overlapping", "disjoint"]

CHANNEL_GROUPS: Final[dict[str, tuple[str, ...]]] = {
    "file": ("file",),
    "registry": ("registry",),
    "module": ("module",),
    "activity": ("process", "network", "script", "memory", "other"),
}
"""The four shares into which the presets divide the channels; together they are all channels, each once."""


@dataclass(frozen=True, kw_only=True)
class View:
    """What one agent sees; an event outside its channels gives it zeros."""

    name: str
    """Name for logs and reports."""
    groups: tuple[str, ...] = ()
    """Feature groups; empty for all."""
    channels: tuple[str, ...] = ()
    """Telemetry channels; empty for all."""


def preset_views(kind: ViewKind, n: int) -> tuple[View, ...]:
    """Views of n agents.

    `replicated`: all see everything. `overlapping`: agent i misses the channels of share i (modulo 4) of
    `CHANNEL_GROUPS`, so every channel reaches 2f+1 of n = 3f+1 agents. `disjoint`: agent i sees shares i, i+n, ...;
    more agents than shares begin again with the first.

    Args:
        kind: Preset.
        n: Agents, at least 1.

    Raises:
        CustodesError: Unknown preset, or fewer than 1 agent.
    """
    if n < 1:
        raise CustodesError(f"a team of {n} agents", where="team.agents", fix="at least 1")
    shares = tuple(CHANNEL_GROUPS)
    if kind == "replicated":
        return tuple(View(name=f"all-{agent}") for agent in range(n))
    if kind == "overlapping":
        return tuple(_without(shares[agent % len(shares)], agent) for agent in range(n))
    if kind == "disjoint":
        return tuple(
            _only(shares[agent % len(shares) :: n] if n < len(shares) else (shares[agent % len(shares)],), agent)
            for agent in range(n)
        )
    raise CustodesError(f"no view preset {kind!r}", where="team.views", fix="replicated, overlapping or disjoint")


def _without(share: str, agent: int) -> View:
    missed = CHANNEL_GROUPS[share]
    return View(name=f"no-{share}-{agent}", channels=tuple(channel for channel in CHANNELS if channel not in missed))


def _only(shares: tuple[str, ...], agent: int) -> View:
    seen = {channel for share in shares for channel in CHANNEL_GROUPS[share]}
    return View(name=f"{'-'.join(shares)}-{agent}", channels=tuple(channel for channel in CHANNELS if channel in seen))


def thin_channels(views: tuple[View, ...], f: int, channels: tuple[str, ...] = CHANNELS) -> dict[str, int]:
    """Channels that fewer than 2f+1 agents see, with the number that do.

    Args:
        views: Views of the n agents.
        f: Lying agents to withstand, at least 0.
        channels: Channels that occur in the data; all by default.
    """
    seen = {channel: sum(not view.channels or channel in view.channels for view in views) for channel in channels}
    return {channel: count for channel, count in seen.items() if count < 2 * f + 1}


def check_views(
    views: tuple[View, ...], f: int, channels: tuple[str, ...] = CHANNELS, *, warn: bool = False
) -> tuple[str, ...]:
    """Hold that every channel reaches 2f+1 agents: f may lie and f+1 honest ones are needed to contain.

    Args:
        views: Views of the n agents.
        f: Lying agents to withstand, at least 0.
        channels: Channels that occur in the data; all by default.
        warn: Return the sentence instead of raising; for teams that divide the channels on purpose (`disjoint`).

    Returns:
        Warnings, a sentence each; none when all is well.

    Raises:
        CustodesError: A view names an unknown group or channel, or (without `warn`) a channel
            reaches fewer than 2f+1 agents.
    """
    for view in views:
        _check_words(view)
    thin = thin_channels(views, f, channels)
    if not thin:
        return ()
    told = ", ".join(f"{channel} by {count}" for channel, count in thin.items())
    what = f"{told} of {len(views)} agents seen, and {2 * f + 1} are needed to withstand {f} lying"
    if not warn:
        raise CustodesError(what, where="team.views", fix="use overlapping or replicated views")
    return (f"channels that too few agents see: {what}.",)


def _check_words(view: View) -> None:
    for word, known, field in [(w, tuple(GROUPS), "feature group") for w in view.groups] + [
        (w, CHANNELS, "channel") for w in view.channels
    ]:
        if word not in known:
            raise CustodesError(f"no {field} {word!r}", where=f"view {view.name}", fix=f"one of {', '.join(known)}")


def channel_is_hidden(encoder: Encoder) -> bool:
    """Whether no input tells an event's channel directly: none is of group `channel` or `kind`.

    Then views that divide the channels tell an agent, by the zeros of an event outside them, what its inputs do not.

    Args:
        encoder: Encoder of the run.
    """
    return not {"channel", "kind"}.intersection(column.group for column in encoder.columns)


def view_masks(
    views: tuple[View, ...], encoder: Encoder, dataset: Dataset
) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """What each agent sees of the inputs and of the events.

    A row mask tells its agent whether the event lay in its channels; where a channel gives the label away
    (`custodes data audit` says so), use `replicated` views.

    Args:
        views: Views of the A agents.
        encoder: Encoder with D inputs.
        dataset: N events.

    Returns:
        Inputs that each agent sees, bool [A, D], and events that it sees, bool [A, N]; the rest reads as 0.

    Raises:
        CustodesError: A view names an unknown group or channel, or sees none of the encoder's inputs.
    """
    column_mask = view_columns(views, encoder)
    row_mask = np.ones((len(views), len(dataset)), dtype=np.bool_)
    for agent, view in enumerate(views):
        if view.channels:
            row_mask[agent] = dataset.events["channel"].is_in(list(view.channels)).to_numpy()
    return column_mask, row_mask


def view_columns(views: tuple[View, ...], encoder: Encoder) -> NDArray[np.bool_]:
    """Inputs that each agent sees, bool [A, D].

    Args:
        views: Views of the A agents.
        encoder: Encoder with D inputs.

    Raises:
        CustodesError: A view names an unknown group or channel, or sees none of the encoder's inputs.
    """
    groups = np.array([column.group for column in encoder.columns], dtype=np.str_)
    column_mask = np.ones((len(views), len(groups)), dtype=np.bool_)
    for agent, view in enumerate(views):
        _check_words(view)
        if view.groups:
            column_mask[agent] = np.isin(groups, view.groups)
        if not column_mask[agent].any():
            raise CustodesError(
                f"the run's inputs have none of its groups {', '.join(view.groups)}",
                where=f"view {view.name}",
                fix="add one of them to data.groups",
            )
    return column_mask
