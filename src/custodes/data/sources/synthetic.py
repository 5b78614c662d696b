"""Source `synthetic`: the generator's table."""

from __future__ import annotations

import polars as pl

from custodes.data.synthetic.config import SyntheticConfig


def synthetic_events(config: SyntheticConfig) -> pl.DataFrame:
    """Generate a recording; see `custodes.data.synthetic.generate`."""
    from custodes.data.synthetic import (
        generate,
    )  # imports the schema, so it cannot be imported while this package loads

    return generate(config)
