"""What `dht check-dataset` shows: progress while it looks, then the report or the faults of the description."""

from pathlib import Path

import orjson
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn

from app.datasets.report.table import show_problems, show_report
from app.errors import DatasetError
from app.jobs.datasets.file_check import check_file
from app.settings import Settings

COLUMNS = (TextColumn("{task.description}"), BarColumn(bar_width=24), MofNCompleteColumn())


def check_and_show(
    file: Path, settings: Settings, task_name: str | None, group_by: str | None, *, is_json: bool
) -> bool:
    """Check a dataset, print its report, and tell whether it is free of errors.

    Raises:
        InvalidInput: for a file that cannot be read, or a feature that is not there.
    """
    console = Console(highlight=False)
    screen = Console(stderr=True)
    try:
        with Progress(*COLUMNS, console=screen, transient=True, disable=not screen.is_terminal) as progress:
            row = progress.add_task("looking at images", total=None)
            report = check_file(
                file,
                settings,
                lambda done, total: progress.update(row, completed=done, total=total),
                task_name,
                group_by,
            )
    except DatasetError as error:
        report = _unreadable(error)
    if is_json:
        print(orjson.dumps(report, option=orjson.OPT_INDENT_2).decode())
    elif "images" in report:
        show_report(report, console)
    else:
        show_problems(report["problems"], report["problem_counts"], console)
    return not report["problem_counts"]["error"]


def _unreadable(error: DatasetError) -> dict:
    """Return what a report can tell of a description that cannot be used: its faults."""
    problems = [
        {"severity": "error", "kind": "description", "file": error.subject, "split": None, "message": str(problem)}
        for problem in error.problems
    ]
    counts = {"error": len(problems), "warning": 0, "kinds": {"description": len(problems)}}
    return {"problem_counts": counts, "problems": problems}
