"""Run several programs as one: start them in stages, show their logs, start anew what ends, stop all in the end."""

import os
import selectors
import signal
import subprocess
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, NoReturn

from app.errors import ToolkitError
from app.orphans import adopt_orphans, children, end_children, end_with_parent
from app.program_log import ProgramLog

TICK_SECONDS = 0.2
READ_BYTES = 65536
# A program that ends is started anew; one that fails by itself this often within this time cannot run.
MOST_ENDINGS = 5
ENDINGS_SECONDS = 60.0
# With 0 end those that were asked to, by SIGTERM or by the SHUTDOWN of Redis.
ENDED_BY_OTHERS = (0, -signal.SIGKILL, -signal.SIGTERM, -signal.SIGINT, -signal.SIGHUP)


class ProgramEnded(ToolkitError):
    """One of the programs ended again and again, or never became ready."""


@dataclass(frozen=True)
class Program:
    """One line of a Procfile."""

    name: str
    command: str


@dataclass(frozen=True)
class Stage:
    """Programs that start together; the next stage starts when they are ready, and is stopped before they are."""

    programs: tuple[Program, ...]
    is_ready: Callable[[Collection[int]], bool] = lambda _pids: True  # asked with the pids of all that runs


@dataclass
class _Running:
    program: Program
    process: subprocess.Popen
    lines: IO[bytes]
    unfinished_line: bytes = b""

    def split(self, received: bytes) -> list[bytes]:
        """Return the lines that are complete now; at the end, and when one grows too long, what there is."""
        *lines, self.unfinished_line = (self.unfinished_line + received).split(b"\n")
        if not received or len(self.unfinished_line) > READ_BYTES:
            lines.append(self.unfinished_line)
            self.unfinished_line = b""
        return lines


@dataclass
class Supervisor:
    """Start, watch and stop the programs of some stages, in one thread.

    Attributes:
        stages: what to run, in this order.
        folder: the working folder of every program.
        environment: the environment of every program.
        log: where their lines go.
        grace_seconds: time that a program has to end after SIGTERM before it is killed.
        start_seconds: time that a stage has to become ready.
        kept_open: descriptors that every program keeps open until it ends.
    """

    stages: Sequence[Stage]
    folder: Path
    environment: Mapping[str, str]
    log: ProgramLog
    grace_seconds: float = 15
    start_seconds: float = 120
    kept_open: Sequence[int] = ()
    _running: dict[str, _Running] = field(default_factory=dict, init=False)
    _endings: dict[str, list[float]] = field(default_factory=dict, init=False)
    _stops_asked: int = field(default=0, init=False)
    _selector: selectors.BaseSelector = field(default_factory=selectors.DefaultSelector, init=False)

    def run(self, on_ready: Callable[[], None]) -> None:
        """Run everything until SIGINT, SIGTERM or SIGHUP; a second one kills instead of waiting.

        Args:
            on_ready: called once, when every stage is ready.

        Raises:
            ProgramEnded: a program ended by itself before all were ready, or ends again and again. All are stopped by
                then.
        """
        adopt_orphans()
        previous = {number: signal.signal(number, self._ask_stop) for number in _stop_signals()}
        try:
            if self._start_all():
                self._show_waiting_lines()
                on_ready()
            while not self._is_stopping():
                self._watch(self._start_anew)
        finally:
            self._stop_all()
            self._selector.close()
            for number, action in previous.items():
                signal.signal(number, action)

    def _ask_stop(self, _number, _frame) -> None:
        self._stops_asked += 1

    def _is_stopping(self) -> bool:
        return self._stops_asked > 0 or self.log.is_broken

    def _start_all(self) -> bool:
        for stage in self.stages:
            for program in stage.programs:
                self._start(program)
            if not self._wait_until_ready(stage):
                return False
        return True

    def _start(self, program: Program) -> None:
        process = subprocess.Popen(
            ["/bin/sh", "-c", f"exec {program.command}"],
            cwd=self.folder,
            env=self.environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            pass_fds=self.kept_open,
            start_new_session=True,  # Ctrl-C reaches the launcher alone, which then stops the others in order
            preexec_fn=ending_with(os.getpid()),
        )
        assert process.stdout is not None
        self._running[program.name] = running = _Running(program, process, process.stdout)
        self._selector.register(process.stdout, selectors.EVENT_READ, running)

    def _wait_until_ready(self, stage: Stage) -> bool:
        deadline = time.monotonic() + self.start_seconds
        while not stage.is_ready([running.process.pid for running in self._running.values()]):
            self._watch(self._start_anew_if_killed)
            if self._is_stopping():
                return False
            if time.monotonic() > deadline:
                names = ", ".join(program.name for program in stage.programs)
                raise ProgramEnded(f"{names}: not ready after {self.start_seconds:.0f} seconds.")
        return True

    def _watch(self, on_end: Callable[[_Running], None]) -> None:
        self._show_lines(TICK_SECONDS)
        self._await_orphans()
        for running in list(self._running.values()):
            if running.process.poll() is not None:
                self._show_waiting_lines()
                on_end(running)

    def _start_anew_if_killed(self, running: _Running) -> None:
        """Start a program anew that somebody killed; one that ends by itself at the start has a wrong setting."""
        if running.process.returncode not in ENDED_BY_OTHERS:
            _give_up(running)
        self._start_anew(running)

    def _start_anew(self, running: _Running) -> None:
        """Start a program that ended, after what it left of itself."""
        name, now = running.program.name, time.monotonic()
        endings = [moment for moment in self._endings.get(name, []) if now - moment < ENDINGS_SECONDS]
        self._endings[name] = endings + [now] * (running.process.returncode not in ENDED_BY_OTHERS)
        if len(self._endings[name]) >= MOST_ENDINGS:
            _give_up(running)
        self.log.say(f"{name} {_ending(running.process)}; it is started again")
        with suppress(ProcessLookupError):
            os.killpg(running.process.pid, signal.SIGKILL)  # such as web workers, which still hold the port
            self._await_orphans()
        self._forget_lines(running)
        self._start(running.program)

    def _await_orphans(self) -> None:
        """Take note of the end of those that were inherited and have ended."""
        own = {running.process.pid for running in self._running.values()}
        for pid in set(children()) - own:
            os.waitpid(pid, os.WNOHANG)

    def _forget_lines(self, running: _Running) -> None:
        with suppress(KeyError):  # it was at its end already
            self._selector.unregister(running.lines)
        running.lines.close()

    def _show_lines(self, wait_seconds: float) -> bool:
        """Show what has come by now, or comes within this time; tell whether there was something."""
        events = self._selector.select(wait_seconds)
        for key, _ in events:
            received = os.read(key.fd, READ_BYTES)
            if not received:
                self._selector.unregister(key.fileobj)
            for line in key.data.split(received):
                self.log.write(key.data.program.name, line)
        return bool(events)

    def _show_waiting_lines(self) -> None:
        """Show all that has come by now; a program may go on writing while it is shown, so not for ever."""
        deadline = time.monotonic() + 1
        while self._show_lines(0) and time.monotonic() < deadline:
            continue

    def _stop_all(self) -> None:
        for stage in reversed(self.stages):
            names = [program.name for program in stage.programs if program.name in self._running]
            self._stop([self._running[name] for name in names])
        end_children()  # what the ended programs left running
        self._show_waiting_lines()
        for running in self._running.values():
            running.lines.close()

    def _stop(self, stage: Sequence[_Running]) -> None:
        for running in stage:
            running.process.terminate()
        deadline = time.monotonic() + self.grace_seconds
        while any(running.process.poll() is None for running in stage):
            if time.monotonic() > deadline or self._stops_asked > 1:
                for running in stage:
                    _kill_group(running.process)
            self._show_lines(TICK_SECONDS / 4)


def _give_up(running: _Running) -> NoReturn:
    raise ProgramEnded(f"{running.program.name} {_ending(running.process)}, so everything was stopped.")


def ending_with(parent_pid: int) -> Callable[[], None]:
    """Make the call for a forked child that has it end with its parent, even if that is killed."""

    def arrange() -> None:
        end_with_parent(signal.SIGTERM)
        if os.getppid() != parent_pid:  # it was killed before the call
            os._exit(1)

    return arrange


def _stop_signals() -> list[signal.Signals]:
    """List the signals that stop everything; after `nohup`, the end of the terminal is none."""
    is_bound_to_terminal = signal.getsignal(signal.SIGHUP) != signal.SIG_IGN
    return [signal.SIGINT, signal.SIGTERM, *([signal.SIGHUP] if is_bound_to_terminal else [])]


def _kill_group(process: subprocess.Popen) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)


def _ending(process: subprocess.Popen) -> str:
    code = process.returncode
    return f"ended with exit code {code}" if code >= 0 else f"was ended by {signal.Signals(-code).name}"
