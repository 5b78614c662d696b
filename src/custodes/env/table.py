"""The events as an environment sees them: features, who sees which of them, and the truth that rewards come from."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import ArrayLike
from torch import Tensor

from custodes.errors import CustodesError
from custodes.interface import Observation


@dataclass(frozen=True, kw_only=True)
class EnvTable:
    """N events, D features, A agents. Tensors on one device; labels reach rewards and counts, never an observation."""

    features: Tensor
    """float32 [N, D]: inputs of each event; finite."""
    column_mask: Tensor
    """bool [A, D]: True where the agent's view holds the feature."""
    row_mask: Tensor
    """bool [A, N]: True where the agent's view holds the event's channel."""
    labels: Tensor
    """int64 [N]: 1 malicious, 0 benign, anything else unknown or contaminated (reward 0, left out of counts)."""

    def __post_init__(self) -> None:
        """Refuse shapes, types and values that do not fit.

        Raises:
            CustodesError: A field has the wrong type or shape, or a feature is not finite.
        """
        rows, columns = self.features.shape if self.features.dim() == 2 else (0, 0)
        agents = len(self.column_mask)
        if rows == 0 or columns == 0 or agents == 0:
            raise CustodesError("no events, no features or no agents", where="table", fix="check the feature groups")
        expected = {
            "features": (self.features, torch.float32, (rows, columns)),
            "column_mask": (self.column_mask, torch.bool, (agents, columns)),
            "row_mask": (self.row_mask, torch.bool, (agents, rows)),
            "labels": (self.labels, torch.int64, (rows,)),
        }
        for name, (value, dtype, shape) in expected.items():
            if value.dtype != dtype or tuple(value.shape) != shape:
                raise CustodesError(
                    f"{name} is {value.dtype} {list(value.shape)}, not {dtype} {list(shape)}", where="table"
                )
            if value.device != self.features.device:
                raise CustodesError(f"{name} is on {value.device}, features on {self.features.device}", where="table")
        if not bool(self.features.isfinite().all()):
            row = int((~self.features.isfinite()).any(1).nonzero()[0])
            raise CustodesError("a feature is not finite", where=f"table row {row}", fix="clean the numeric columns")

    @classmethod
    def from_numpy(
        cls,
        features: ArrayLike,
        labels: ArrayLike,
        column_mask: ArrayLike | None = None,
        row_mask: ArrayLike | None = None,
        *,
        agents: int = 1,
    ) -> EnvTable:
        """Build a table from NumPy arrays.

        Args:
            features: Float [N, D].
            labels: Int [N].
            column_mask: Bool [A, D]; None for agents that see every feature.
            row_mask: Bool [A, N]; None for agents that see every event.
            agents: A, where neither mask says it.

        Returns:
            A table on the CPU that shares memory with float32 and int64 arrays.
        """
        inputs = np.asarray(features, dtype=np.float32)
        columns = None if column_mask is None else np.asarray(column_mask, dtype=np.bool_)
        rows = None if row_mask is None else np.asarray(row_mask, dtype=np.bool_)
        count = next((len(mask) for mask in (columns, rows) if mask is not None), agents)
        columns = np.ones((count, *inputs.shape[1:]), dtype=np.bool_) if columns is None else columns
        rows = np.ones((count, *inputs.shape[:1]), dtype=np.bool_) if rows is None else rows
        return cls(
            features=torch.as_tensor(inputs),
            column_mask=torch.as_tensor(columns),
            row_mask=torch.as_tensor(rows),
            labels=torch.as_tensor(np.asarray(labels, dtype=np.int64)),
        )

    def to(self, device: torch.device | str) -> EnvTable:
        """The same table on another device."""
        return EnvTable(
            features=self.features.to(device),
            column_mask=self.column_mask.to(device),
            row_mask=self.row_mask.to(device),
            labels=self.labels.to(device),
        )

    def take(self, rows: Tensor) -> EnvTable:
        """The events of int64 [M] rows, in that order; copies."""
        return EnvTable(
            features=self.features.index_select(0, rows),
            column_mask=self.column_mask,
            row_mask=self.row_mask.index_select(1, rows),
            labels=self.labels.index_select(0, rows),
        )

    @property
    def agents(self) -> int:
        """A."""
        return len(self.column_mask)

    @property
    def inputs(self) -> int:
        """D."""
        return self.features.shape[1]


class Viewer:
    """Gathers observations of rows, masking only where a mask hides something.

    Rows fall into few patterns of agents that see them (one per channel), so what is shown is laid out by pattern and a
    step gathers it instead of multiplying masks. Where agents differ only in the events that they see, and not in the
    features, a factor per agent does.

    Args:
        table: The events to look at.
    """

    def __init__(self, table: EnvTable) -> None:
        self._features, self._agents = table.features, table.agents
        patterns, self._pattern = _patterns(table.row_mask)
        shown = patterns.unsqueeze(2) & table.column_mask
        union = shown.any(1)
        by_event = bool(table.column_mask.all())
        self._shown: Tensor | None = None
        """float32 [patterns, A, D]: 1 where the agent sees the feature, [patterns, A, 1] where it sees all or nothing;
        None where all see all."""
        if not bool(shown.all()):
            self._shown = (patterns.unsqueeze(2) if by_event else shown).to(torch.float32)
        self._union: Tensor | None = None if bool(union.all()) else union.to(torch.float32)
        """float32 [patterns, D]: 1 where at least one agent sees the feature; None where all is seen."""

    def __call__(self, rows: Tensor) -> Observation:
        """Observe rows.

        Args:
            rows: Int64 [B].

        Returns:
            Agents' views float32 [B, A, D] and the central view float32 [B, D]: what at least one agent sees.
        """
        seen = self._features.index_select(0, rows)
        if self._union is not None:
            seen = self._union.index_select(0, self._pattern.index_select(0, rows)).mul_(seen)
        return self._with_views(seen, rows)

    def replace(self, observation: Observation, slots: Tensor, rows: Tensor) -> Observation:
        """The same observation, but for some slots.

        Args:
            observation: What this viewer returned for B rows.
            slots: Int64 [K], each at most once: the slots that look at something else.
            rows: Int64 [B]: what every slot looks at now.

        Returns:
            A new observation; the old one is left as it was.
        """
        new = self(rows.index_select(0, slots))
        central = observation.central.index_copy(0, slots, new.central)
        if self._shown is not None and self._shown.shape[2] > 1:
            return Observation(agents=observation.agents.index_copy(0, slots, new.agents), central=central)
        # Showing it anew writes the agents' views once; copying the old ones would read them as well.
        return self._with_views(central, rows)

    def _with_views(self, seen: Tensor, rows: Tensor) -> Observation:
        """Observation of rows [B] of which at least one agent sees float32 [B, D]."""
        together = seen.unsqueeze(1)
        if self._shown is None:
            return Observation(agents=together.expand(-1, self._agents, -1), central=seen)
        shown = self._shown.index_select(0, self._pattern.index_select(0, rows))
        by_event = shown.shape[2] < seen.shape[1]
        return Observation(agents=shown * together if by_event else shown.mul_(together), central=seen)


def _patterns(row_mask: Tensor) -> tuple[Tensor, Tensor]:
    """Distinct columns of bool [A, N]: bool [P, A], and which of them each column is, int64 [N]."""
    code = torch.zeros(row_mask.shape[1], dtype=torch.int64, device=row_mask.device)
    for sees in row_mask:
        # Numbered anew for each agent, so that codes stay small however many agents there are.
        distinct, code = torch.unique(2 * code + sees, return_inverse=True)
    member = torch.empty_like(distinct).scatter_(0, code, torch.arange(len(code), device=code.device))
    return row_mask.T[member], code
