"""Lines of standard input on an event loop, whatever it is: pipe, file, terminal, nothing, or closed."""

from __future__ import annotations

import asyncio
import os
import threading
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from typing import Final

from custodes.bft.errors import BftError

MAX_LINE: Final = 16 * 2**20
"""Bytes of a line: more than the largest batch takes."""
_PIECE: Final = 2**16


async def standard_input(handle: int = 0) -> AsyncIterator[str]:
    """Lines, until there are no more. Never more than two are read ahead.

    Args:
        handle: File to read.

    Raises:
        BftError: A line is longer than `MAX_LINE`.
    """
    loop = asyncio.get_running_loop()
    ready: asyncio.Queue[str | Exception | None] = asyncio.Queue(1)

    def put(item: str | Exception | None) -> None:
        asyncio.run_coroutine_threadsafe(ready.put(item), loop).result()

    def read() -> None:
        # A thread, as not every kind of file can be waited for; without Python's own buffer, whose lock a thread that
        # waits for ever would hold while the interpreter ends.
        try:
            for line in _split(handle):
                put(line)
            put(None)
        except BftError as error:
            put(error)
        except (RuntimeError, CancelledError):
            return  # The loop has ended.

    threading.Thread(target=read, daemon=True).start()
    while (item := await ready.get()) is not None:
        if isinstance(item, Exception):
            raise item
        yield item


def _split(handle: int) -> Iterator[str]:
    rest = b""
    while True:
        try:
            piece = os.read(handle, _PIECE)
        except OSError:
            # Closed from the start: nobody has votes here.
            return
        if not piece:
            break
        *lines, rest = (rest + piece).split(b"\n")
        yield from (line.decode("utf-8", "replace") for line in lines)
        if len(rest) > MAX_LINE:
            raise BftError(f"a line is longer than {MAX_LINE} bytes", where="standard input")
    if rest:
        yield rest.decode("utf-8", "replace")
