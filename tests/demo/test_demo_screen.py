from io import StringIO

import numpy as np
import pytest
from rich.console import Console

from app.demo.screen import Screen


@pytest.fixture
def stream():
    return StringIO()


def test_without_a_terminal_progress_is_plain_lines_not_more_than_one_in_some_seconds(stream):
    with Screen(Console(file=stream)).progress("training") as view:
        view.show(0.1, "Train 1/9 - batch 1/2")
        view.show(0.2, "Train 1/9 - batch 2/2")
        view.show(1.0, "Finished [9] of 9")

    assert stream.getvalue().splitlines() == [
        "  training  10% Train 1/9 - batch 1/2",
        "  training 100% Finished [9] of 9",
    ]


def test_on_a_terminal_a_live_bar_shows_the_newest_line(stream):
    console = Console(file=stream, force_terminal=True, width=120)

    with Screen(console).progress("training") as view:
        view.show(0.5, "Train 5/9 - batch 1/2 - loss=0.1 - 800 img/s - ETA 0:41")

    assert "50%" in stream.getvalue()
    assert "Train 5/9 loss=0.1 800 img/s ETA 0:41" in stream.getvalue()


def test_on_a_terminal_of_80_columns_the_bar_and_the_time_left_are_there():
    stream = StringIO()
    line = "Train 14/15 - batch 1/2 - binary_cross_entropy=0.123 - categorical_accuracy=0.976 - 1128 img/s - ETA 0:15"

    with Screen(Console(file=stream, force_terminal=True, width=80)).progress("training LeNet") as view:
        view.show(0.5, line)

    assert "Train 14/15 loss=0.123 accuracy=0.976 1128 img/s ETA 0:15" in stream.getvalue()
    assert "━" in stream.getvalue() and "50%" in stream.getvalue()


def test_a_long_path_stays_one_line(stream):
    Screen(Console(file=stream, width=20)).line("/a/path/that/is/longer/than/the/terminal")

    assert stream.getvalue() == "  /a/path/that/is/longer/than/the/terminal\n"


def test_zeros_of_the_confusion_matrix_are_dots(stream):
    Screen(Console(file=stream, width=80)).confusion(("ant", "bee"), np.array([[3, 0], [1, 4]]))

    assert [line.split() for line in stream.getvalue().splitlines()[1:]] == [["ant", "3", "·"], ["bee", "1", "4"]]
