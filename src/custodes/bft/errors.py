"""The exceptions of agreement: what went wrong, where, and what to do, on one line."""

from __future__ import annotations


class BftError(Exception):
    """Bad usage, bad input, or a state in which a replica must not go on.

    Args:
        what: What is wrong, in plain words.
        where: File, line, offset or key that it was found in; empty when there is no such place.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        line = f"{where}: {what}" if where else what
        super().__init__(" ".join((f"{line}; {fix}" if fix else line).split()))


class DecodeError(BftError):
    """Bytes that no honest replica sends: too long, cut, trailing, or not in the one form that a value has."""
