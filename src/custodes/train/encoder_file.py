"""The encoder of a run, kept beside its settings so that evaluation sees the inputs that training saw."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Final

from custodes.data.features import Encoder
from custodes.errors import CustodesError
from custodes.train.atomic import write_atomic

ENCODER: Final = "encoder.json"


def write_encoder(run: Path, encoder: Encoder) -> None:
    """Write it, all or nothing."""
    write_atomic(run / ENCODER, (json.dumps(encoder.to_json()) + "\n").encode())


def read_encoder(run: Path) -> Encoder:
    """Read it.

    Raises:
        CustodesError: It is missing or damaged.
    """
    path = run / ENCODER
    try:
        return Encoder.from_json(json.loads(path.read_text(encoding="utf-8")))
    except CustodesError as error:
        raise CustodesError(error.what, where=str(path), fix="restore it from a backup") from None
    except (OSError, ValueError) as error:
        raise CustodesError(
            f"cannot read the run's encoder ({type(error).__name__})", where=str(path), fix="restore it from a backup"
        ) from None
