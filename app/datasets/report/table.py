"""A report for a person at a terminal: tables and bars."""

from collections.abc import Iterator

from rich.console import Console, Group, RenderableType
from rich.markup import escape
from rich.table import Table
from rich.text import Text

from app.datasets.problems import bare

BAR_WIDTH = 24
MOST_SHOWN = 50
MOST_SIZES = 5
MARKS = {"error": "[bold red]error[/]  ", "warning": "[yellow]warning[/]"}


def show_report(report: dict, console: Console) -> None:
    """Print the report: splits and classes, images, masks, problems, and the verdict last."""
    for part in (_splits(report), *_images(report), *_masks(report)):
        console.print(part)
        console.print()
    show_problems(report["problems"], report["problem_counts"], console)


def show_problems(problems: list[dict], counts: dict, console: Console) -> None:
    """Print the first problems, one a line, and how many there are."""
    for problem in problems[:MOST_SHOWN]:
        console.print(f"{MARKS[problem['severity']]}  {escape(problem['message'])}", soft_wrap=True)
    if len(problems) > MOST_SHOWN:
        more = counts["error"] + counts["warning"] - MOST_SHOWN
        console.print(f"... and {more} more; the report as JSON has them.")
    colour = "red" if counts["error"] else "yellow" if counts["warning"] else "green"
    console.print(f"[bold {colour}]{_several(counts['error'], 'error')}, {_several(counts['warning'], 'warning')}[/]")


def _splits(report: dict) -> RenderableType:
    table = Table(box=None, pad_edge=False, title_justify="left")
    names = list(report["splits"])
    table.add_column("")
    for name in names:
        table.add_column(_name(name), justify="right")
    if names:
        table.add_column("")
    table.add_row("images", *(str(report["splits"][name]["samples"]) for name in names))
    table.add_row("labelled", *(str(report["splits"][name]["labelled"]) for name in names))
    for class_name in report["splits"][names[0]]["classes"] if names else ():
        counts = [report["splits"][name]["classes"][class_name] for name in names]
        most = max(report["splits"][names[0]]["classes"].values(), default=0)
        table.add_row(f"  {_name(class_name)}", *map(str, counts), _bar(counts[0] / most if most else 0))
    unsplit = f", {report['unsplit_count']} of them in no split" if report["unsplit_count"] else ""
    return Group(Text(f"{report['sample_count']} images for {report['task']}{unsplit}", style="bold"), table)


def _images(report: dict) -> Iterator[RenderableType]:
    images = report["images"]
    if not images["readable"]:
        return
    table = Table(box=None, pad_edge=False, show_header=False)
    sizes = [f"{size['width']} x {size['height']} ({size['count']})" for size in images["sizes"][:MOST_SIZES]]
    more = images["distinct_sizes"] - len(sizes)
    table.add_row("sizes", ", ".join(sizes) + (f" and {more} more" if more > 0 else ""))
    table.add_row("channels", _counted(images["channels"]))
    table.add_row("bits", _counted(images["bit_depths"]))
    table.add_row("values", "{} to {}".format(*images["value_range"]))
    statistics = report["training_statistics"]
    if statistics:
        table.add_row("mean", _numbers(statistics["mean"]) + "   of the training split, of 0 to 1")
        table.add_row("deviation", _numbers(statistics["std"]))
        if statistics["augmentations"]:
            table.add_row("paste", Text(statistics["augmentations"], overflow="fold"))
    yield table


def _masks(report: dict) -> Iterator[RenderableType]:
    masks = report["masks"]
    if not masks:
        return
    table = Table(box=None, pad_edge=False)
    for title in ("class", "values", "masks", "area", ""):
        table.add_column(title, justify="left" if title in ("class", "") else "right")
    for entry in masks["classes"]:
        values = [row["value"] for row in masks["mapping"] if row["class"] == entry["class"]]
        shown = str(values[0]) if len(values) == 1 else f"{min(values)} to {max(values)}" if values else ""
        area = f"{entry['area']:.1%}"
        table.add_row(_name(entry["name"]), shown, str(entry["masks"]), area, _bar(entry["area"]))
    yield table


def _name(text: str) -> str:
    """Keep a name of the user's from being read as markup, or as a command to the terminal."""
    return escape(bare(text))


def _several(count: int, noun: str) -> str:
    return f"{count} {noun}{'s' * (count != 1)}"


def _bar(fraction: float) -> Text:
    return Text("█" * round(fraction * BAR_WIDTH) or "▏" * (fraction > 0), style="cyan")


def _counted(counts: dict) -> str:
    return ", ".join(f"{name} ({count})" for name, count in counts.items())


def _numbers(values: list[float]) -> str:
    return " ".join(f"{value:.4f}" for value in values)
