"""What to load, how to split it, and which columns are inputs."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from custodes.data.synthetic.config import SyntheticConfig

SplitMethod = Literal["rows", "blocks", "temporal", "entity", "given"]
SourceName = Literal["auto", "table", "trace", "edr", "flows", "cdm", "synthetic"]


@dataclass(frozen=True, kw_only=True)
class DataConfig:
    """Data of a run."""

    path: str = ""
    """File to read; empty for source `synthetic`."""
    test_path: str = ""
    """Official test file (source `flows`); empty for none."""
    source: SourceName = "auto"
    """Format of the file; `auto` tells it from the columns."""
    split: SplitMethod = "blocks"
    """How records are dealt to train, validation and test."""
    fractions: tuple[float, float, float] = (0.7, 0.15, 0.15)
    """Shares of train, validation and test; each in (0, 1), sum 1."""
    block_events: int = 1000
    """Records of one block (split `blocks`), at least 1."""
    split_seed: int = 0
    """Seed of the split, at least 0."""
    split_time: str = ""
    """Start of the test part (split `temporal`), ISO 8601, UTC when it names no zone; empty for the fractions."""
    validation: Literal["time", "entity"] = "time"
    """What validation is in split `temporal`: the end of the training period, or whole processes out of all of it,
    which is of use where the end of it holds other attacks than its beginning."""
    max_rejects: float = 0.01
    """Share of malformed lines above which a load fails, in [0, 1]."""
    groups: tuple[str, ...] = ()
    """Feature groups used as inputs; empty for all."""
    columns: tuple[str, ...] = ()
    """Numeric columns of group `numeric`; empty for all."""
    names: Literal["hidden", "shown"] = "hidden"
    """Whether names of executables are inputs."""
    named: tuple[str, ...] = ("names", "standing")
    """Feature groups that read executables' names; they join the others where names are shown."""
    synthetic: SyntheticConfig = field(default_factory=SyntheticConfig)
    """Settings of source `synthetic`."""
