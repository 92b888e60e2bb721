"""What the demonstration shows: a live bar on a terminal, a plain line now and then elsewhere."""

import re
import time
from typing import Protocol

import numpy as np
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn
from rich.table import Column, Table

PLAIN_SECONDS = 3
BATCH = re.compile(r" - batch \d+/\d+")
LOSS_AND_METRIC = re.compile(r" - \w+=(\S+) - (?:categorical_)?(\w+=\S+)")
ROOMY_COLUMNS = 110


class ProgressView(Protocol):
    """Shows how far one process is."""

    def show(self, fraction: float, line: str) -> None:
        """Take the newest progress, 0..1, and its line."""

    def __enter__(self) -> "ProgressView": ...

    def __exit__(self, *_: object) -> None: ...


class Screen:
    """Where the demonstration writes."""

    def __init__(self, console: Console | None = None):
        self._console = console or Console(highlight=False)

    def title(self, text: str) -> None:
        """Begin a part."""
        self._console.print(f"\n[bold]{escape(text)}[/bold]")

    def line(self, text: str) -> None:
        """Write a line."""
        self._console.print(f"  {escape(text)}", soft_wrap=True)  # a path that is broken cannot be copied

    def text(self, text: str) -> None:
        """Write lines as they are."""
        self._console.print(escape(text), soft_wrap=True)

    def progress(self, title: str) -> ProgressView:
        """Return the view for one process."""
        return _Bar(self._console, title) if self._console.is_terminal else _PlainLines(self, title)

    def confusion(self, classes: tuple[str, ...], matrix: np.ndarray) -> None:
        """Show a confusion matrix; zeros are dots, so that the mistakes stand out."""
        table = Table(box=None, pad_edge=False)
        table.add_column("  true")
        for name in classes:
            table.add_column(escape(name), justify="right")
        for name, row in zip(classes, matrix, strict=True):
            table.add_row(f"  {escape(name)}", *(str(count) if count else "·" for count in row))
        self._console.print(table)


def shortened(line: str) -> str:
    """Return a progress line as it fits beside a bar on a terminal of 80 columns, the time that is left included."""
    return LOSS_AND_METRIC.sub(r" - loss=\1 - \2", BATCH.sub("", line)).replace(" - ", " ")


class _Bar:
    def __init__(self, console: Console, title: str):
        is_roomy = console.width >= ROOMY_COLUMNS
        columns = (
            TextColumn("  {task.description}", table_column=Column(no_wrap=True)),
            BarColumn(bar_width=24 if is_roomy else 8),
            TaskProgressColumn(),
            TextColumn("{task.fields[line]}", markup=False, table_column=Column(no_wrap=True, overflow="ellipsis")),
        )
        self._progress = Progress(*columns, console=console)
        self._row = self._progress.add_task(title if is_roomy else title.split()[-1], total=1.0, line="waiting")

    def show(self, fraction: float, line: str) -> None:
        self._progress.update(self._row, completed=fraction, line=shortened(line))

    def __enter__(self) -> "_Bar":
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()


class _PlainLines:
    def __init__(self, screen: Screen, title: str):
        self._screen = screen
        self._title = title
        self._shown = ""
        self._next_seconds = 0.0

    def show(self, fraction: float, line: str) -> None:
        is_due = time.monotonic() >= self._next_seconds or fraction >= 1
        if is_due and line != self._shown:
            self._screen.line(f"{self._title} {fraction:4.0%} {line}")
            self._shown = line
            self._next_seconds = time.monotonic() + PLAIN_SECONDS

    def __enter__(self) -> "_PlainLines":
        return self

    def __exit__(self, *_: object) -> None:
        return None
