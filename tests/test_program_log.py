import contextlib
import io
import os
import re
from pathlib import Path

from app.program_log import ProgramLog


def test_each_line_has_time_and_padded_name():
    stream = io.StringIO()

    ProgramLog(stream, ["web", "training"]).write("web", b"hello \r")

    assert re.fullmatch(r"\d\d:\d\d:\d\d web      \| hello\n", stream.getvalue())


def test_empty_lines_are_left_out_and_wrong_bytes_shown():
    stream = io.StringIO()
    log = ProgramLog(stream, ["web"])

    log.write("web", b"")
    log.write("web", b"caf\xe9")

    assert stream.getvalue().endswith("| caf\N{REPLACEMENT CHARACTER}\n")
    assert stream.getvalue().count("\n") == 1


def test_a_terminal_gets_colours_unless_it_says_no(monkeypatch):
    class Terminal(io.StringIO):
        def isatty(self) -> bool:
            return True

    monkeypatch.delenv("NO_COLOR", raising=False)
    coloured, plain = Terminal(), Terminal()
    ProgramLog(coloured, ["web"]).write("web", b"x")
    monkeypatch.setenv("NO_COLOR", "1")
    ProgramLog(plain, ["web"]).write("web", b"x")

    assert "\033[36m" in coloured.getvalue()
    assert "\033" not in plain.getvalue()


def test_a_closed_pipe_breaks_the_log_and_raises_nothing():
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as stream:
        log = ProgramLog(stream, ["web"])

        log.say("into the void")
        log.say("again")

        assert log.is_broken
    # and closing it, which writes what it still holds, raises nothing


def test_a_full_disk_costs_lines_and_does_not_break_the_log():
    stream = Path("/dev/full").open("w")  # noqa: SIM115, for closing it fails too
    log = ProgramLog(stream, ["web"])

    for _ in range(1000):
        log.write("web", b"there is no room for this")

    assert not log.is_broken
    with contextlib.suppress(OSError):
        stream.close()
