"""From settings to what a team plays, the same way for training and evaluation: data, split, inputs, views, lanes."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Final, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

from custodes.bft.votes import tolerated
from custodes.data.config import DataConfig
from custodes.data.dataset import Dataset, codes, require_both_classes
from custodes.data.features import Encoder
from custodes.data.reader import load
from custodes.data.schema import MALICIOUS
from custodes.data.split import PartName, Split, split
from custodes.data.views import channel_is_hidden, check_views, preset_views, view_masks
from custodes.env.lanes import Lanes, build_lanes
from custodes.env.liars import LiarsConfig, LiarsEnv
from custodes.env.player import Game
from custodes.env.response.config import ResponseConfig
from custodes.env.response.costs import ResponseCosts
from custodes.env.response.env import ResponseEnv
from custodes.env.response.recording import Recording, recording_of
from custodes.env.table import EnvTable
from custodes.env.triage import TriageConfig, TriageEnv
from custodes.team.config import TeamConfig

_CHANNEL_TOLD: Final = (
    "the views hide events by channel, which is no input here: whether an event is hidden tells its channel"
)


_LIARS: Final = 0x11A5
"""Sets the chance of who lies apart from that of the lanes."""

Player = TriageEnv | ResponseEnv | LiarsEnv
"""What a learner steps."""
G = TypeVar("G", bound=Game)


@dataclass(frozen=True, kw_only=True)
class Workload:
    """Everything that training and evaluation play on."""

    dataset: Dataset
    """The recording."""
    split: Split
    """Which row is in which part."""
    encoder: Encoder
    """Fitted on the training part only."""
    features: NDArray[np.float32]
    """[N, D]."""
    table: EnvTable
    """The same as tensors, with the agents' views."""
    env: TriageConfig
    """How it is played."""
    costs: ResponseCosts = field(default_factory=ResponseCosts)
    """What harm and disruption cost (response)."""
    liars: LiarsConfig = field(default_factory=LiarsConfig)
    """Who lies while the team trains."""
    refit: bool = False
    """Training plays the validation part too."""
    thin_views: tuple[str, ...] = ()
    """Sentences about channels that too few agents see, and about what the views give away."""

    def lanes(self, part: PartName, window: int | None = None) -> Lanes:
        """Lanes of one part; `window` 0 plays each run of events whole, None as the part is scored.

        In triage that is whole. In response the agents' memory is cleared after each `env.window` events of a process,
        in training and here alike: what they were never trained on is not played.
        """
        if window is None:
            window = self.env.window if self.env.task == "response" else 0
        return build_lanes(self.dataset, self.split.rows(part), self.env.lanes, window)

    def training_rows(self) -> NDArray[np.int64]:
        """Rows that training plays, ascending."""
        parts: tuple[PartName, ...] = ("train", "validation") if self.refit else ("train",)
        rows: NDArray[np.int64] = np.sort(np.concatenate([self.split.rows(part) for part in parts]))
        return rows

    def recording(self, rows: NDArray[np.int64]) -> Recording:
        """Some rows with who started whom, for acting on them."""
        return recording_of(self.dataset, rows, self.costs)

    def training_recording(self, rows: NDArray[np.int64]) -> Recording:
        """The training rows for acting on them, with harm at the stakes of the scored part.

        A phase weighs the same in every part, however long the part is, and benign work grows with it: in a training
        part five times as long as the test part a malicious event would do a fifth of the harm beside the same false
        Blocks. So a phase weighs there as many times more as the part is longer.
        """
        longer = len(rows) / max(len(self.split.rows("test")), 1)
        costs = replace(self.costs, phase_harm=self.costs.phase_harm * longer)
        return recording_of(self.dataset, rows, costs)

    @property
    def central_inputs(self) -> int:
        """Inputs of a central critic: all that any agent sees, and who lies where liars train with the team."""
        return self.table.inputs + (self.table.agents if self.liars.share else 0)

    def training_lanes(self, seed: int) -> Lanes:
        """What training plays."""
        rows = self.training_rows()
        if self.env.task == "response" and self.env.windows and self.env.window:
            rows = rows[_few_windows(self.dataset, rows, self.env.window, self.env.windows, seed)]
        return build_lanes(self.dataset, rows, self.env.lanes, self.env.window)

    def training_env(self, f: int, seed: int) -> Player:
        """The lane player over the training rows, with liars where `liars.share` is above 0."""
        return self.among_liars(self.training_game(f, seed), seed)

    def among_liars(self, game: G, seed: int) -> G | LiarsEnv:
        """A game with liars where `liars.share` is above 0; else the game itself."""
        if not self.liars.share:
            return game
        own = int(np.random.SeedSequence((seed, _LIARS)).generate_state(1, np.uint64)[0] >> 1)
        protected = torch.from_numpy(self.attackers()).to(self.table.features.device)
        return LiarsEnv(game, self.liars, protected, seed=own)

    def training_game(self, f: int, seed: int) -> TriageEnv | ResponseEnv:
        """The same without liars."""
        lanes = self.training_lanes(seed)
        if self.env.task == "triage":
            return TriageEnv(self.table, lanes, self.env, f=f, seed=seed)
        config = ResponseConfig(
            slots=self.env.slots,
            credit=self.env.credit,
            credit_mix=self.env.credit_mix,
            reward_scale=self.env.reward_scale,
            lane_share=self.env.lane_share,
        )
        recording, costs = self.training_recording(self.training_rows()), self._training_costs()
        return ResponseEnv(self.table, lanes, recording, costs, config, f=f, seed=seed)

    def attackers(self) -> NDArray[np.bool_]:
        """Bool [N]: events of processes that do anything malicious (response); malicious events (triage)."""
        malicious: NDArray[np.bool_] = self.dataset.labels == MALICIOUS
        if self.env.task == "triage":
            return malicious
        entity = codes(self.dataset.events, "stream", "entity")
        guilty = np.zeros(int(entity.max()) + 1, dtype=np.bool_)
        guilty[entity[malicious]] = True
        found: NDArray[np.bool_] = guilty[entity]
        return found

    def _training_costs(self) -> ResponseCosts:
        """What acting costs in training."""
        return replace(
            self.costs,
            false_block=self.costs.false_block * self.env.caution,
            false_quarantine=self.costs.false_quarantine * self.env.caution,
            delayed=self.costs.delayed * self.env.caution,
            suppressed=self.costs.suppressed * self.env.caution,
            alert=self.costs.alert * self.env.caution,
        )

    def warnings(self) -> tuple[str, ...]:
        """What a reader of scores must know about the split and the views."""
        return (*self.split.warnings, *self.thin_views)


def prepare(
    data: DataConfig,
    env: TriageConfig,
    team: TeamConfig,
    *,
    costs: ResponseCosts | None = None,
    liars: LiarsConfig | None = None,
    refit: bool = False,
    encoder: Encoder | None = None,
    rejects: Path | None = None,
    device: torch.device | str = "cpu",
) -> Workload:
    """Load, split, encode.

    Args:
        data: What to read and how to split it.
        env: The game.
        team: How many agents, and their views.
        costs: What acting costs (response); None for the defaults.
        liars: Who lies while the team trains; None for nobody.
        refit: The validation part is trained on too.
        encoder: A fitted one, for evaluation; None fits one on the training part.
        rejects: File for malformed lines.
        device: Where the table lives.

    Raises:
        CustodesError: Data that cannot be used; training or validation data of one class.
    """
    dataset = load(data, rejects=rejects)
    parts = split(dataset, data)
    if encoder is None:
        for part in ("train", "validation"):
            require_both_classes(dataset.labels[parts.rows(part)], f"{dataset.name}, {part} part")
        fitted: tuple[PartName, ...] = ("train", "validation") if refit else ("train",)
        encoder = Encoder.fit(dataset, np.sort(np.concatenate([parts.rows(part) for part in fitted])), data)
    features = encoder.transform(dataset)
    views = preset_views(team.views, team.agents)
    channels = tuple(dataset.events["channel"].unique().sort())
    thin = check_views(views, tolerated(team.agents), channels, warn=team.views == "disjoint")
    told = (_CHANNEL_TOLD,) if any(view.channels for view in views) and channel_is_hidden(encoder) else ()
    columns, rows = view_masks(views, encoder, dataset)
    table = EnvTable.from_numpy(features, dataset.labels, columns, rows).to(device)
    return Workload(
        dataset=dataset,
        split=parts,
        encoder=encoder,
        features=features,
        table=table,
        env=env,
        costs=costs or ResponseCosts(),
        liars=liars or LiarsConfig(),
        refit=refit,
        thin_views=(*thin, *told),
    )


def _few_windows(dataset: Dataset, rows: NDArray[np.int64], window: int, most: int, seed: int) -> NDArray[np.bool_]:
    """Which of `rows` [M] lie in the first window of their process or in one of `most` - 1 others, drawn at random.

    Args:
        dataset: Events.
        rows: Ascending.
        window: Events of one window.
        most: Windows of a process that are kept, at least 1.
        seed: Of the draw.
    """
    entity = codes(dataset.events[rows], "stream", "entity")
    order = np.argsort(entity, kind="stable")
    ordered = entity[order]
    place = np.arange(len(rows)) - np.searchsorted(ordered, ordered)
    piece = place // window
    pair = ordered * (int(piece.max()) + 1) + piece
    pieces, index = np.unique(pair, return_inverse=True)
    # The first window comes first in its process's draw, the others at random.
    first = pieces % (int(piece.max()) + 1) == 0
    lot = np.where(first, -1.0, np.random.default_rng(seed).random(len(pieces)))
    owner = pieces // (int(piece.max()) + 1)
    drawn = np.lexsort((lot, owner))
    rank = np.empty(len(pieces), dtype=np.int64)
    rank[drawn] = np.arange(len(pieces)) - np.searchsorted(owner[drawn], owner[drawn])
    kept = np.zeros(len(rows), dtype=np.bool_)
    kept[order] = (rank < most)[index]
    return kept


def with_data(config: DataConfig, path: str) -> DataConfig:
    """The same settings for another file (empty: unchanged)."""
    return replace(config, path=path) if path else config
