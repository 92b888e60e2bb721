"""What happens around every job in its work-horse: state, log, stop, and one sentence for whatever goes wrong."""

import os
import signal
import traceback
from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path

from app.errors import JobFailure, PartKilled, RunHeld, StorageUnavailable, ToolkitError
from app.jobs import queue
from app.jobs.worker.deaths import MEMORY_ADVICE
from app.jobs.worker.memory import be_ended_first
from app.orphans import end_with_parent
from app.runs.layout import StorageLayout
from app.runs.reader import read_config, read_state
from app.runs.state import FAILED, STOPPED
from app.runs.writer import RunWriter
from app.settings import Settings

AWAY = "Interrupted, for the storage folder could not be used; it goes on when a worker is free"

Work = Callable[[dict, RunWriter, StorageLayout, Settings], tuple[str, str]]


def run_job(process_id: str, work: Work) -> None:
    """Run the work of one process and close its state, whatever happens.

    Args:
        process_id: names the run folder, whose config says everything else.
        work: does it; returns the final state and line.

    Whoever queues a job twice does no harm: one that has ended, or that another job works on, is left alone.

    Raises:
        JobFailure: with the sentence that is in the state, so that RQ too shows the job as failed.
    """
    end_with_parent(signal.SIGKILL)  # RQ leaves its work-horse running when it dies: an orphan that nobody watches
    be_ended_first()
    settings = Settings.from_environment()
    storage = StorageLayout(settings.storage_dir)
    run = storage.run(process_id)
    config = read_config(run) if run else None
    if run is None or config is None:
        raise JobFailure(f"Process {process_id} has no run folder in {storage.runs}; do web and workers share it?")
    if read_state(run).is_final:
        return
    writer = RunWriter(run, storage.log(run, config), stop_grace_seconds=settings.stop_grace_seconds)
    writer.on_superseded = partial(_leave, writer)
    writer.on_overdue_stop = partial(_end_overdue, writer, storage, config, settings)
    signal.signal(signal.SIGTERM, lambda *_: writer.interrupt())
    signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGTERM})  # the worker held it back over the fork
    try:
        with writer:
            failure = _begun(work, config, writer, storage, settings)
    except RunHeld:
        return
    if failure:
        raise JobFailure(failure)


def _begun(work: Work, config: dict, writer: RunWriter, storage: StorageLayout, settings: Settings) -> str | None:
    """Do the work of a run that is held now, unless it has ended or was to stop before it began."""
    if writer.state.is_final:
        return None
    if writer.run.stop_request.exists():
        writer.close(STOPPED, "Stopped while it waited for a worker")
        return None
    return run_work(work, config, writer, storage, settings)


def run_work(work: Work, config: dict, writer: RunWriter, storage: StorageLayout, settings: Settings) -> str | None:
    """Do the work and close the run; return the sentence of a failure, None for an end as planned.

    A shutdown of the service is no end: the process waits in the queue again. So it does when the storage folder cannot
    be used, whatever went wrong because of that. Neither is it an end when a part of the job was killed: the rest dies
    as the part did, and the worker, who knows why that was, sees to it.
    """
    try:
        state, line = work(config, writer, storage, settings)
    except PartKilled as error:
        writer.log(error.message)
        with suppress(OSError):
            signal.signal(error.signal, signal.SIG_DFL)
        os.kill(os.getpid(), error.signal)
        sentence = error.message
    except ToolkitError as error:
        sentence = error.message
    except MemoryError:
        sentence = f"The memory of this machine is used up; {MEMORY_ADVICE[config['type']]}."
        writer.log(traceback.format_exc())
    except Exception as error:
        sentence = f"The job failed unexpectedly ({type(error).__name__}); its log has the details."
        writer.log(traceback.format_exc())
    else:
        if state == STOPPED:
            _close_stopped(writer, line, settings)
        else:
            writer.log(line)
            writer.close(state, line)
        return None
    if _unusable_folder(config, writer, storage):
        writer.when_there_is_room(partial(_put_off, config, writer, storage))
        writer.log(f"{AWAY} ({sentence})")
        return None
    writer.log(f"Failed: {sentence}")
    writer.close(FAILED, f"Failed: {sentence}", sentence)
    return sentence


def _put_off(config: dict, writer: RunWriter, storage: StorageLayout) -> None:
    """Give a process back to the queue; raise StorageUnavailable while its folders cannot be used."""
    if folder := _unusable_folder(config, writer, storage):
        raise StorageUnavailable(f"{folder} cannot be used; put it back and give access to it.")
    writer.postpone(AWAY)


def _unusable_folder(config: dict, writer: RunWriter, storage: StorageLayout) -> Path | None:
    """Return a folder that the job works with and that is not accessible, or away with the whole storage folder."""
    weights_id = config.get("weights_id")
    own = () if weights_id is None else (storage.all_weights, storage.weights(weights_id).path)
    folders = (storage.runs, writer.run.path, *filter(os.path.exists, own))  # weights alone may have been deleted
    return next((each for each in folders if not os.access(each, os.R_OK | os.W_OK | os.X_OK)), None)


def _close_stopped(writer: RunWriter, line: str, settings: Settings) -> None:
    """End a process that stopped because somebody asked; one that stopped for a shutdown waits in the queue again."""
    is_asked = writer.run.stop_request.exists()
    goes_on = writer.is_interrupted and not is_asked and settings.auto_resume_times > 0
    line += "; it goes on by itself when the service is back" * goes_on
    writer.log(line)
    if goes_on:
        writer.postpone(line)
    else:
        writer.close(STOPPED, line)


def _end_overdue(writer: RunWriter, storage: StorageLayout, config: dict, settings: Settings) -> None:
    """End a job that a stop request does not reach, once its grace is over."""
    with suppress(ToolkitError):  # a full disk must not keep it alive
        if writer.ending is None:
            _close_stopped(writer, _reached(writer, storage, config), settings)
        else:
            writer.log(writer.ending[1])
            writer.close(*writer.ending)
    os.kill(os.getpid(), signal.SIGKILL)


def _leave(writer: RunWriter) -> None:
    """End a job that another one has taken the place of, and change nothing more."""
    writer.log(
        "This job was cut off for so long that another one goes on with the process; it ends and changes nothing"
    )
    os._exit(os.EX_OK)  # a planned end: nobody looks after the process for this one's sake


def _reached(writer: RunWriter, storage: StorageLayout, config: dict) -> str:
    line = f"Stopped by force, for a step took too long, after: {writer.state.line}"
    if config["type"] != queue.TRAINING:
        return line
    has_weights = storage.weights(config["weights_id"]).has_weights()
    return line + ("; the weights saved before are kept" if has_weights else "; no weights were saved before")
