"""What a user of the rules sees when something is wrong: what, where and what to do, on one line."""

from __future__ import annotations

from custodes.stl.formula import Span


class StlError(ValueError):
    """A bad formula, spec file or trace.

    Args:
        what: What is wrong, in plain words.
        where: File, spec, signal, stream or sample that it was found in; empty when there is no such place.
        fix: What the user can do about it.
    """

    def __init__(self, what: str, *, where: str = "", fix: str = "") -> None:
        self.what, self.where, self.fix = what, where, fix
        line = f"{where}: {what}" if where else what
        super().__init__(" ".join((f"{line}; {fix}" if fix else line).split()))


class FormulaError(StlError):
    """A formula that can't be read.

    Args:
        what: What is wrong.
        text: The formula's text.
        span: Which part of it.
        source: Name of the formula or file.
        fix: What to write instead.
    """

    def __init__(self, what: str, *, text: str, span: Span, source: str = "formula", fix: str = "") -> None:
        before = text[: span.start]
        self.line = before.count("\n") + 1
        self.column = span.start - (before.rfind("\n") + 1) + 1
        self.text, self.span = text, span
        super().__init__(what, where=f"{source}, line {self.line}, column {self.column}", fix=fix)
