"""From arguments to an exit code: every way in which a command can end, each with at most one line."""

from __future__ import annotations

import contextlib
import os
import sys
import traceback
from collections.abc import Sequence
from typing import Any, Final

from custodes.cli.codes import BAD_INPUT, DEFECT, DONE, INTERRUPTED, NO_READER
from custodes.errors import CustodesError

DEBUG: Final = "CUSTODES_DEBUG"
"""Environment variable that shows tracebacks."""
_COMPLETE: Final = "_CUSTODES_COMPLETE"


def run(args: Sequence[str]) -> int:
    """Run the program.

    Args:
        args: Arguments after the program's name.

    Returns:
        The exit code.
    """
    try:
        code = _invoke(list(args))
        # Find out now, and not at the interpreter's end, that standard output cannot take what was printed.
        sys.stdout.flush()
        return code
    except BrokenPipeError:
        _forget_output()
        return NO_READER
    except KeyboardInterrupt:
        _say("interrupted")
        return INTERRUPTED
    except CustodesError as error:
        _say(str(error))
        return BAD_INPUT
    except Exception as error:
        return _explain(error)


def _invoke(args: list[str]) -> int:
    """Parse and run one command, without the framework's own error pages."""
    import typer
    from typer.main import get_command

    from custodes.cli.app import app

    if _COMPLETE in os.environ:
        app(args=args, prog_name="custodes")
    command = get_command(app)
    try:
        with command.make_context("custodes", args) as context:
            command.invoke(context)
    except typer.Exit as end:
        return end.exit_code
    return DONE


def _explain(error: Exception) -> int:
    """A usage error, a refusal of the system, or a defect, on one line."""
    # The framework's usage errors live in a different module from one of its versions to the next.
    if callable(getattr(error, "format_message", None)):
        _say(_usage(error))
        return BAD_INPUT
    what = " ".join(f"{type(error).__name__}: {error}".split()).rstrip(": ")
    again = f"run it again with {DEBUG}=1 to see where"
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        _say(f"{place}{(error.strerror or what).lower()}; check disk and permissions, or {again}")
        return BAD_INPUT
    _say(f"this is a defect: {what}; {again}, and report it")
    return DEFECT


def _usage(error: Any) -> str:
    """What is wrong with the arguments, and where help is."""
    message = " ".join(str(error.format_message()).split()).rstrip(".")
    context = getattr(error, "ctx", None)
    path = context.command_path if context is not None else "custodes"
    return f"{message}; see '{path} --help'"


def _say(line: str) -> None:
    """Write the one line; a closed standard error is nobody's problem."""
    # What a command printed before comes first, where both go to one terminal.
    try:
        sys.stdout.flush()
    except OSError:
        _forget_output()
    with contextlib.suppress(OSError, ValueError):
        if os.environ.get(DEBUG):
            traceback.print_exc()
        sys.stderr.write(f"custodes: {line}\n")
        sys.stderr.flush()


def _forget_output() -> None:
    """Send what is still buffered nowhere, so that the interpreter's last flush is quiet."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)
