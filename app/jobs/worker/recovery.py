"""Find the processes whose job died or was lost, and see to it that they go on, or are told as failed."""

import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from contextlib import suppress
from dataclasses import replace

from app.errors import QueueUnavailable, RunHeld, StorageUnavailable, ToolkitError
from app.files import unavailable
from app.jobs import queue
from app.jobs.queue import JobQueue
from app.jobs.worker.deaths import reason_of_death
from app.pids import machine_id
from app.runs.holding import hold, is_held
from app.runs.layout import RunFolder, StorageLayout
from app.runs.reader import read_config, read_state, unfinished_processes
from app.runs.state import FAILED, QUEUED, STOPPED, RunState
from app.runs.writer import append_to_log, write_final_state, write_state

# Where another machine's lock may not be seen, a job is dead only after it has missed several heartbeats.
SILENCE_SECONDS = 15.0
# A job whose lock this machine has freed is dead; its worker, which knows why, gets this long to say so.
REASON_SECONDS = 2.0
# A job passes through a moment in which it is off the queue and does not hold its run yet.
OFF_THE_QUEUE_SECONDS = 4.0

WORKER_DIED = "its job ended without a word, as when its worker or the machine is ended"
GOES_ON = {
    queue.TRAINING: "goes on from its last checkpoint",
    queue.INFERENCE: "starts over",
    queue.CHECK: "starts over",
}
MOST_WATCHED = 100_000


class Recovery:
    """Brings unfinished processes to their true state. The web side asks for one of them, workers for all.

    What it knows comes from the locks on the runs and from what stays the same for a while by a clock that nobody
    sets: not from comparing the times that several machines wrote.
    """

    def __init__(
        self,
        storage: StorageLayout,
        jobs: JobQueue,
        auto_resume_times: int,
        clock: Callable[[], float] = time.monotonic,
        most_watched: int = MOST_WATCHED,
    ):
        """Know of no process yet.

        Args:
            storage: the folders.
            jobs: the queue.
            auto_resume_times: how often a process goes on by itself.
            clock: seconds, by a clock that nobody sets.
            most_watched: processes that somebody asked for and that are remembered at once, for some of them have ended
                since; a sweep forgets what has ended, and looks after however many there are.
        """
        self._storage = storage
        self._jobs = jobs
        self._auto_resume_times = auto_resume_times
        self._clock = clock
        self._most_watched = most_watched
        self._watched: dict[str, tuple[Hashable, float]] = {}

    def sweep(self) -> list[str]:
        """Look at every unfinished process; return a sentence for each that could not be brought to its true state."""
        waiting: set[str] = set()
        with suppress(QueueUnavailable):
            waiting = self._jobs.waiting()
        for process_id in waiting:
            self._watched.pop(process_id, None)
        unfinished = unfinished_processes(self._storage)
        for ended in self._watched.keys() - set(unfinished):
            self._watched.pop(ended)
        return self._look_at([name for name in unfinished if name not in waiting])

    def _look_at(self, process_ids: Sequence[str]) -> list[str]:
        faults = []
        for process_id in process_ids:
            run = self._storage.run(process_id)
            if run is None:
                continue
            try:
                self._look_at_one(process_id, run)
            except FileNotFoundError:  # it is being made, or deleted
                continue
            except ToolkitError as error:
                faults.append(error.message)
            except OSError as error:
                faults.append(unavailable(run.path, "looked after", error).message)
        return faults

    def _look_at_one(self, process_id: str, run: RunFolder) -> None:
        config = read_config(run)
        if config and self._true_state(process_id, run, config, read_state(run)).is_final:
            run.unfinished_mark.unlink(missing_ok=True)

    def true_state(self, process_id: str, run: RunFolder, config: Mapping, state: RunState) -> RunState:
        """Return the state of a process that somebody asks for, after what had to be done about it.

        Where the storage is full or read-only, the state that should be written is told all the same.

        Raises:
            StorageUnavailable: when it cannot be found out.
        """
        if len(self._watched) >= self._most_watched and process_id not in self._watched:
            self._watched.clear()
        return self._true_state(process_id, run, config, state, needs_written=False)

    def _true_state(
        self, process_id: str, run: RunFolder, config: Mapping, state: RunState, *, needs_written: bool = True
    ) -> RunState:
        if state.is_final:
            self._watched.pop(process_id, None)
            return state
        if state.state == QUEUED:
            return self._see_to_waiting(process_id, run, config, state)
        if is_held(run):
            self._watched.pop(process_id, None)
            return state
        if self._seconds(process_id, state.heartbeat) < self._patience(state):
            return state
        return self._interrupt(run, config, WORKER_DIED, needs_written=needs_written)

    def close_dead(self, process_id: str, status: int, is_for_memory: bool | None) -> None:
        """See to a process whose job has just died; raises as `true_state`, for the arguments see `reason_of_death`."""
        run = self._storage.run(process_id)
        config = read_config(run) if run else None
        if run is not None and config is not None:
            self._interrupt(run, config, reason_of_death(status, is_for_memory, config["type"]))

    def _interrupt(self, run: RunFolder, config: Mapping, reason: str, *, needs_written: bool = True) -> RunState:
        """Queue a process again whose job has died, or close it when that has happened too often.

        Nothing happens while a job holds the run, or when the process is no longer under way. A state that cannot be
        written is an error where it `needs_written`, and else returned.
        """
        try:
            with hold(run):
                state = read_state(run)
                if state.is_final or state.state == QUEUED:
                    return state
                interrupted = _interrupted(run, config, state, reason, self._auto_resume_times)
                try:
                    write_state(run, interrupted)
                except StorageUnavailable:
                    if needs_written:
                        raise
                    return interrupted
        except RunHeld:
            return read_state(run)
        with suppress(ToolkitError):  # a full disk: the state says the same
            append_to_log(self._storage.log(run, config), interrupted.line)
        return interrupted

    def _see_to_waiting(self, process_id: str, run: RunFolder, config: Mapping, state: RunState) -> RunState:
        """Queue a process again that should wait and does not: the run folder is the truth, Redis may have lost it."""
        with suppress(QueueUnavailable, RunHeld):
            is_waiting = self._jobs.position(config["type"], process_id) is not None
            if self._seconds(process_id, is_waiting) < OFF_THE_QUEUE_SECONDS or is_waiting:
                return state
            with hold(run):
                state = read_state(run)
                if state.state == QUEUED and run.stop_request.exists():
                    write_final_state(run, STOPPED, "Stopped while it waited for a worker")
                    return read_state(run)
            if state.state == QUEUED:
                had_begun = state.started_at is not None
                self._jobs.enqueue(
                    config["type"],
                    process_id,
                    config["description"],
                    at_front=had_begun,
                    wants_gpu=queue.wants_gpu(config),
                )
        return state

    def _patience(self, state: RunState) -> float:
        return REASON_SECONDS if state.machine and state.machine == machine_id() else SILENCE_SECONDS

    def _seconds(self, process_id: str, sign: Hashable) -> float:
        """Return for how long this sign of a process has been the same, as far as was looked."""
        now = self._clock()
        seen, since = self._watched.get(process_id, (None, now))
        if seen != sign:
            since = now
        self._watched[process_id] = (sign, since)
        return now - since


def _interrupted(run: RunFolder, config: Mapping, state: RunState, reason: str, times: int) -> RunState:
    """Return the state after an interruption: stopped when that was asked for, queued again, or failed."""
    count = state.interruptions + 1
    if run.stop_request.exists():
        line = f"Stopped by force: while it was to stop, {reason}; before that: {state.line}"
        return replace(state, state=STOPPED, line=line, eta_seconds=None, ended_at=time.time())
    if count > times:
        often = f"{count} times, more often than AUTO_RESUME_TIMES; at last" if times else "as"
        error = f"The job was interrupted {often} {reason}. Retry it once that is mended."
        line = f"Failed: {error}"
        return replace(state, state=FAILED, line=line, error=error, eta_seconds=None, ended_at=time.time())
    what = f"It {GOES_ON[config['type']]} when a worker is free"
    return replace(
        state,
        state=QUEUED,
        line=f"Interrupted ({count} of at most {times} times): {reason}. {what}",
        progress=state.progress if config["type"] == queue.TRAINING else 0.0,
        eta_seconds=None,
        interruptions=count,
        machine=None,
        heartbeat=time.time(),
    )
