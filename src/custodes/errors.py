"""The one exception that a user sees: what went wrong, where, and what to do, on one line."""

from __future__ import annotations


class CustodesError(Exception):
    """Bad usage or bad input.

    The command line prints it as one line and exits 2; a traceback for bad input is a defect.

    Args:
        what: What is wrong, in plain words.
        where: File, line, column or key that it was found in; empty when there is no such place.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        line = f"{where}: {what}" if where else what
        super().__init__(" ".join((f"{line}; {fix}" if fix else line).split()))
