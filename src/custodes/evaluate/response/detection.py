"""Detection in the response task: an event is flagged from when its process is.

Decisions are about processes, and what is contained once stays so. A team that blocks a process at its first malicious
event is never asked about the later ones in training, and what it would say of them means nothing; so they count as the
process does by then. Causal: nothing after an event is read.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import polars as pl
from numpy.typing import NDArray

from custodes.env.response.recording import Recording


def highest_so_far(recording: Recording, values: NDArray[Any]) -> NDArray[Any]:
    """The highest value that each event's process has had up to it.

    Args:
        recording: The part, M events in the order of time.
        values: [M], one for each of `recording.rows`: scores, severities or flags.

    Returns:
        [M], of the same type.
    """
    entity = recording.forest.entity[recording.rows]
    frame = pl.DataFrame({"entity": entity, "value": values})
    found: NDArray[Any] = frame.select(pl.col("value").cum_max().over("entity"))["value"].to_numpy()
    return found.astype(np.asarray(values).dtype)
