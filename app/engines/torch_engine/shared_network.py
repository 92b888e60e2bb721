"""One network in several processes, on one device each: all compute a part of every batch and make the same step.

The job is the first of the processes and tells the others what to do, by pipes; gradients and the statistics of batch
normalisation are added up between all of them by torch.distributed. So a training learns the same, up to rounding,
from however many processes, and everything around the network is as it is with one device.
"""

import itertools
import os
import sys
from collections.abc import Mapping, Sequence
from datetime import timedelta
from multiprocessing import get_context, parent_process
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from threading import Thread
from typing import Any

import numpy as np
import torch
from torch import distributed
from torch.multiprocessing.spawn import start_processes

from app.engines.torch_engine.network import build_network
from app.errors import JobFailure, PartKilled
from app.temporary import temporary_folder
from app.training.config import TrainingConfig
from app.training.engine import BatchResult

PATIENCE = timedelta(minutes=30)  # how long a process waits for what the others compute; a step on a CPU can be long
LEAVING_SECONDS = 1.0  # that a process takes to be gone when it has closed its pipe
DIED = (
    "One of the {count} processes of this training died; if the machine ran out of memory, lower Batch size or Devices."
)


class SharedNetwork:
    """A network whose batches several processes share; see `app.training.engine.Network` for the methods."""

    def __init__(self, config: TrainingConfig, graph: Path | None, devices: Sequence[torch.device]):
        """Start the other processes; each device computes in one of them, the first in this one."""
        pipes = [get_context("spawn").Pipe() for _ in devices[1:]]
        self._others: list[Connection] = [ours for ours, _ in pipes]
        with temporary_folder("processes") as folder:  # they meet there
            joining = (config, graph, tuple(devices), f"file://{folder}/meeting")
            theirs = [connection for _, connection in pipes]
            self._processes = start_processes(
                _serve, (theirs, *joining), len(theirs), join=False, daemon=True, start_method="spawn"
            )
            for connection in theirs:
                connection.close()  # else this process would not hear that the other has ended
            self._own = _join(0, *joining)
        self.parameter_count = self._own.parameter_count

    def set_learning_rate(self, rate: float) -> None:
        """Take the rate of the next step."""
        self._everywhere("set_learning_rate", rate)

    def freeze_encoder(self, *, is_frozen: bool) -> None:
        """Keep the encoder as it is, or let it learn."""
        self._everywhere("freeze_encoder", is_frozen=is_frozen)

    def train_batch(
        self, images: np.ndarray, targets: np.ndarray, *, share: float = 1.0, is_step: bool = True
    ) -> BatchResult:
        """Add the gradient of a batch, and make an optimizer step."""
        parts = self._parts(images)
        if not parts:  # too few samples: every process learns from all of them, which adds up to the same gradient
            share /= len(self._others) + 1
            return self._everywhere("train_batch", images, targets, share=share, is_step=is_step)[0]
        calls = [
            ((images[part], targets[part]), {"share": share * len(images[part]) / len(images), "is_step": is_step})
            for part in parts
        ]
        return _together(self._each("train_batch", calls))

    def evaluate_batch(self, images: np.ndarray, targets: np.ndarray) -> BatchResult:
        """Compute loss and probabilities without learning."""
        parts = self._parts(images)
        if not parts:
            return self._own.evaluate_batch(images, targets)
        return _together(self._each("evaluate_batch", [((images[part], targets[part]), {}) for part in parts]))

    def predict_batch(self, images: np.ndarray) -> np.ndarray:
        """Return the probabilities of a batch."""
        parts = self._parts(images)
        if not parts:
            return self._own.predict_batch(images)
        return np.concatenate(self._each("predict_batch", [((images[part],), {}) for part in parts]))

    def save_weights(self, path: Path) -> None:
        """Write the parameters, which are the same in every process."""
        self._own.save_weights(path)

    def load_weights(self, path: Path) -> Sequence[str]:
        """Load the parameters that fit by name and shape; return the names of the others."""
        return self._everywhere("load_weights", path)[0]

    def load_pretrained(self, path: Path | None) -> Sequence[str]:
        """Load what others have trained; return the names of the parameters that are not in it."""
        return self._everywhere("load_pretrained", path)[0]

    def export_onnx(self, path: Path, metadata: Mapping[str, str]) -> None:
        """Write the network as an ONNX file, whole or not at all."""
        self._own.export_onnx(path, metadata)

    def save_checkpoint(self, path: Path, position: dict) -> None:
        """Write what an exact resume needs: the random state of every process too."""
        states = self._everywhere("random_state")
        self._own.save_checkpoint(path, position, states[1:])

    def load_checkpoint(self, path: Path) -> dict:
        """Restore what `save_checkpoint` wrote and return the position."""
        calls = [((path,), {"process": number}) for number in range(len(self._others) + 1)]
        return self._each("load_checkpoint", calls)[0]

    def _parts(self, images: np.ndarray) -> list[slice]:
        """Return a slice for each process; none when there are fewer samples than processes."""
        count = len(self._others) + 1
        edges = [len(images) * number // count for number in range(count + 1)]
        return [slice(*pair) for pair in itertools.pairwise(edges)] if len(images) >= count else []

    def _everywhere(self, name: str, *arguments, **keywords) -> list:
        return self._each(name, [(arguments, keywords)] * (len(self._others) + 1))

    def _each(self, name: str, calls: Sequence[tuple[tuple, dict]]) -> list:
        """Call a method in every process; return the answers in the order of the calls, the first one being for us."""
        try:
            for connection, call in zip(self._others, calls[1:], strict=True):
                connection.send((name, *call))
            arguments, keywords = calls[0]
            own = getattr(self._own, name)(*arguments, **keywords)
            return [own, *(_received(connection) for connection in self._others)]
        except (OSError, EOFError, RuntimeError) as error:  # a process has left: what did it say?
            reasons = [reason for connection in self._others if (reason := _last_words(connection))]
            failure = reasons[0] if reasons else self._why_silent()
            self._end()
            raise failure from error
        except BaseException:
            self._end()
            raise

    def _why_silent(self) -> JobFailure:
        """Return what there is to say when a process left without a word."""
        signals = [-code for process in self._processes.processes if (code := _ending(process)) and code < 0]
        message = DIED.format(count=len(self._others) + 1)
        return PartKilled(message, signals[0]) if signals else JobFailure(message)

    def _end(self) -> None:
        """End the other processes, which may be waiting for this one."""
        for process in self._processes.processes:
            process.kill()


def _join(number: int, config: TrainingConfig, graph: Path | None, devices: Sequence[torch.device], meeting: str):
    """Meet the other processes, and build this one's network.

    Args:
        number: of this process, from 0.
        config: of the training.
        graph: of an uploaded network.
        devices: one for each process.
        meeting: URL of a file that does not exist yet.
    """
    device = devices[number]
    if device.type == "cpu":
        torch.set_num_threads(max(1, (os.cpu_count() or 1) // len(devices)))
    if sys.platform == "linux":
        os.environ.setdefault("GLOO_SOCKET_IFNAME", "lo")  # else it looks for this machine's name in the network
    if distributed.is_initialized():  # by an attempt before this one
        distributed.destroy_process_group()
    backend = "nccl" if device.type == "cuda" else "gloo"
    distributed.init_process_group(backend, init_method=meeting, world_size=len(devices), rank=number, timeout=PATIENCE)
    network = build_network(config, graph, device, is_shared=True)
    torch.manual_seed(config.seed + number)  # else dropout would leave out the same in every part of a batch
    return network


def _serve(index: int, connections: Sequence[Connection], *joining) -> None:
    """Do what the job says, until it ends or something fails."""
    Thread(target=_end_with_the_job, daemon=True).start()
    connection = connections[index]
    try:
        network = _join(index + 1, *joining)
        while True:
            name, arguments, keywords = connection.recv()
            connection.send(getattr(network, name)(*arguments, **keywords))
    except (JobFailure, MemoryError) as reason:
        connection.send(reason)
    except (OSError, EOFError, RuntimeError):
        return  # the job, or another process, has ended


def _end_with_the_job() -> None:
    """End when the job does, however that ends: else a process that was to meet it would wait for half an hour."""
    job = parent_process()
    assert job is not None
    job.join()
    os._exit(1)


def _received(connection: Connection) -> Any:
    answer = connection.recv()
    if isinstance(answer, Exception):
        raise answer
    return answer


def _last_words(connection: Connection) -> Exception | None:
    """Return why a process left, if it said so."""
    try:
        while connection.poll(1):
            answer = connection.recv()
            if isinstance(answer, Exception):
                return answer
    except (OSError, EOFError):
        pass
    return None


def _ending(process: BaseProcess) -> int | None:
    """Return the exit code of a process that ends just now, negative for a signal; None for one that lives."""
    process.join(LEAVING_SECONDS)
    return process.exitcode


def _together(results: Sequence[BatchResult]) -> BatchResult:
    """Put the results of a batch's parts together."""
    counts = [len(result.probabilities) for result in results]
    loss = sum(result.loss * count for result, count in zip(results, counts, strict=True)) / sum(counts)
    return BatchResult(loss, np.concatenate([result.probabilities for result in results]))
