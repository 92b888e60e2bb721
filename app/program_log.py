"""The lines of several programs on one screen, each with its time and its program's name."""

import os
import time
from collections.abc import Iterable
from typing import TextIO

from app.files import NO_ROOM

COLOURS = (36, 33, 32, 35, 34)  # cyan, yellow, green, magenta, blue


class ProgramLog:
    """Write prefixed lines, in colour on a terminal.

    Attributes:
        is_broken: nobody reads the lines any more (a closed pipe or terminal).
    """

    def __init__(self, stream: TextIO, names: Iterable[str]):
        self._stream = stream
        names = list(names)
        self._width = max(map(len, names), default=0)
        has_colours = stream.isatty() and "NO_COLOR" not in os.environ
        self._colours = dict(zip(names, COLOURS * len(names), strict=False)) if has_colours else {}
        self.is_broken = False

    def write(self, name: str, line: bytes) -> None:
        """Write one line of a program; bytes that are not UTF-8 are shown as replacement characters."""
        text = line.decode("utf-8", "replace").rstrip()
        if text:
            prefix = f"{time.strftime('%H:%M:%S')} {name:<{self._width}} |"
            colour = self._colours.get(name)
            self.say(f"\033[{colour}m{prefix}\033[0m {text}" if colour else f"{prefix} {text}")

    def say(self, text: str) -> None:
        """Write a line of the launcher's own."""
        if self.is_broken:
            return
        try:
            print(text, file=self._stream, flush=True)
        except OSError as error:
            self.is_broken = error.errno not in NO_ROOM  # a full disk costs lines, not the service
            if self.is_broken:
                self._let_go()

    def _let_go(self) -> None:
        """Have what the stream still holds go nowhere: Python would try it again at its end, and exit with 120."""
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, self._stream.fileno())
        os.close(nowhere)
