"""Exit codes."""

from typing import Final

DONE: Final = 0
DOES_NOT_HOLD: Final = 1
"""The thing that was checked does not hold."""
DEFECT: Final = 1
"""An error that is ours."""
BAD_INPUT: Final = 2
"""Bad usage or bad input."""
INTERRUPTED: Final = 130
"""Ctrl-C, as shells count it (128 + 2)."""
NO_READER: Final = 141
"""Whoever read our output went away, as shells count it (128 + 13)."""
