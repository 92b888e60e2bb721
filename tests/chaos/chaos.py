"""Hurt a real service while it works, then look for everything that it had acknowledged.

`python tests/chaos/chaos.py --seed 7 --minutes 3`: trainings, inferences, stops, 4 writers and a poller, while programs
are killed, frozen and started again, the disk is full and the clock jumps. It prints its seed, by which the same things
happen again in the same order, and what it found; the exit code is 1 if anything was lost, half there or untrue.
"""

import argparse
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from random import Random

import numpy as np
import psutil
from audit import faults, wait_for_ends, wait_for_true_states
from clients import Clients, Ledger
from PIL import Image
from served import COMPILER, WORDS, Served
from writes import verified

DISK_BYTES = 1_000_000_000
IMAGES = 24
TESTED = 8


class Chaos:
    """What can be done to the service, and what was done when."""

    def __init__(self, served: Served, clients: Clients, random: Random, *, has_small_disk: bool):
        self._served = served
        self._clients = clients
        self._random = random
        self._began = time.monotonic()
        self.true_after: list[float] = []
        self.acts = [self.kill_job, self.kill_program, self.kill_program, self.freeze, self.cut_power, self.restart]
        self.acts += [self.kill_launcher]
        self.acts += [self.fill_disk] if has_small_disk else []
        self.acts += [self.set_clock] if COMPILER else []

    def say(self, text: str) -> None:
        print(f"{time.monotonic() - self._began:6.1f} s  {text}", flush=True)

    def run(self, seconds: float) -> None:
        """Do one thing after the other, every one at least once."""
        waiting = list(self.acts)
        self._random.shuffle(waiting)
        while waiting or time.monotonic() - self._began < seconds:
            time.sleep(self._random.uniform(1, 4))
            act = waiting.pop() if waiting else self._random.choice(self.acts)
            act()

    def kill_job(self) -> None:
        self._kill(self._random.choice(["training", "inference"]), -1)

    def kill_program(self) -> None:
        name = self._random.choice(list(WORDS))
        self._kill(name, self._random.choice([0, -1]) if name == "web" else 0)

    def _kill(self, name: str, index: int) -> None:
        found = self._served.programs(WORDS[name])
        self.say(f"kills {'a part' if index and len(found) > 1 else 'the whole'} of {name}")
        if found:
            with suppress(psutil.Error):
                found[index].kill()

    def freeze(self) -> None:
        name, seconds = self._random.choice(list(WORDS)), self._random.uniform(1, 8)
        self.say(f"freezes {name} for {seconds:.1f} s")
        found = self._served.programs(WORDS[name])
        for number in (signal.SIGSTOP, signal.SIGCONT):
            for program in found:
                with suppress(psutil.Error):
                    program.send_signal(number)
            time.sleep(seconds if number == signal.SIGSTOP else 0)

    def cut_power(self) -> None:
        self.say("kills everything at once and starts it again")
        self._clients.pause()
        self._served.kill_all()
        began = time.monotonic()
        self._served.start()
        seconds = wait_for_true_states(self._served)
        self.true_after.append(seconds)
        self.say(f"ready after {time.monotonic() - began - seconds:.1f} s, all states true {seconds:.1f} s later")
        self._clients.resume()

    def kill_launcher(self) -> None:
        self.say("kills the launcher and starts it again")
        self._served.process.kill()
        self._served.process.wait()
        self._served.start()

    def restart(self) -> None:
        self.say("presses Ctrl-C and starts it again")
        self._served.stop()
        self._served.start()

    def fill_disk(self) -> None:
        seconds = self._random.uniform(2, 8)
        self.say(f"fills the disk for {seconds:.1f} s")
        filler = self._served.storage.parent / "filler"
        with filler.open("wb", buffering=0) as stream, suppress(OSError):
            while True:
                stream.write(bytes(1_000_000))
        time.sleep(seconds)
        filler.unlink()

    def set_clock(self) -> None:
        shift = self._random.choice([-86_400, -3_600, 3_600, 86_400])
        self.say(f"sets the clock to {shift:+d} s")
        self._served.set_clock(shift)


@contextmanager
def small_disk(folder: Path):
    """Mount a small disk in memory on the folder; yield whether that was allowed."""
    command = ["mount", "-t", "tmpfs", "-o", f"size={DISK_BYTES}", "tmpfs", str(folder)]
    is_mounted = os.geteuid() == 0 and subprocess.run(command, check=False, capture_output=True).returncode == 0
    try:
        yield is_mounted
    finally:
        if is_mounted:
            subprocess.run(["umount", "--lazy", str(folder)], check=False)


def write_dataset(folder: Path) -> Path:
    """Write small grey images, bright on the left or on the right, and their description."""
    folder.mkdir()
    generator = np.random.default_rng(0)
    lines = []
    for index in range(IMAGES):
        pixels = generator.integers(0, 60, (12, 14), dtype=np.uint8)
        half = slice(0, 7) if index % 2 else slice(7, 14)
        pixels[:, half] += np.uint8(150)
        Image.fromarray(pixels).save(folder / f"{index}.png")
        lines.append(f"  - {{location: {index}.png, label: {('right', 'left')[index % 2]}}}")
    test = list(range(IMAGES - TESTED, IMAGES))
    split = f"split: {{training: {list(range(12))}, validation: [12, 13, 14, 15], test: {test}}}\n"
    path = folder / "sides.yml"
    path.write_text("name: Sides\nclasses: [left, right]\nimages:\n" + "\n".join(lines) + "\n" + split)
    return path


def prepare(served: Served, description: Path) -> dict:
    """Register the dataset and train first weights, in peace."""
    dataset = served.settled("POST", "/datasets", {"name": "Sides", "task_id": 1, "path": str(description)})["id"]
    project = served.settled("POST", "/projects", {"name": "trained in", "task_id": 1})["id"]
    body = {"model_id": 1, "dataset_id": dataset, "project_id": project}
    answer = served.settled("POST", "/train", body | {"properties": [{"name": "Epochs", "value": 1}]})
    while (status := served.settled("GET", f"/status?process_id={answer['process_id']}")["status"])[
        "process_status"
    ] == "running":
        time.sleep(0.1)
    assert status["process_state"] == "finished", status
    return {"dataset": dataset, "project": project, "weights": answer["weight_id"], "test_count": TESTED}


def run_chaos(seed: int, seconds: float, most_trainings: int, names: Sequence[str] = ()) -> list[str]:
    """Return what was found.

    Args:
        seed: of all random choices.
        seconds: of chaos; more where everything once takes longer.
        most_trainings: so many are started.
        names: of what is done to the service; all that this machine allows by default.
    """
    jumps = "yes" if COMPILER else "no, they take a C compiler"
    print(f"SEED={seed}, {seconds:.0f} seconds of chaos; clock jumps: {jumps}")
    folder = Path(tempfile.mkdtemp(prefix="dht-chaos-"))
    disk = folder / "disk"
    disk.mkdir()
    ledger = Ledger()
    with small_disk(disk) as has_small_disk:
        print(f"full disks: {'yes' if has_small_disk else 'no, a small disk takes root'}", flush=True)
        served = Served(folder, disk / "storage", folder / "data")
        description = write_dataset(folder / "data")
        try:
            served.start()
            ids = prepare(served, description)
            clients = Clients(served, ledger, seed, ids, most_trainings)
            clients.start()
            chaos = Chaos(served, clients, Random(seed), has_small_disk=has_small_disk)
            chaos.acts = [getattr(chaos, name) for name in names] or chaos.acts
            chaos.run(seconds)
            chaos.say("peace")
            clients.end()
            wait_for_ends(served, ledger)
            found = faults(served, ledger)
            served.stop()
            repaired = verified(served.storage, "--repair")  # what killed writers leave is moved aside
            found += [] if repaired.returncode == 0 else repaired.stdout.splitlines()
        except AssertionError as error:
            found = [*ledger.faults, str(error)]
        finally:
            if served.process and served.process.poll() is None:
                served.kill_all()
            if "found" in locals() and found:
                shutil.copytree(disk / "storage", folder / "kept", dirs_exist_ok=True, ignore_dangling_symlinks=True)
    slowest = max(chaos.true_after, default=0.0) if "chaos" in locals() else 0.0
    print(
        f"{ledger.requests} requests, of which {ledger.unanswered} got no answer and {ledger.troubled} one of trouble; "
        f"{len(ledger.projects)} projects, {len(ledger.trainings)} trainings, {len(ledger.inferences)} inferences "
        f"acknowledged; states true at most {slowest:.1f} s after a power cut"
    )
    if found:
        print(f"SEED={seed} found {len(found)} faults; log and storage are in {folder}:")
        print("\n".join(f"- {fault}" for fault in found[:40]))
    else:
        print(f"SEED={seed}: nothing was lost")
        shutil.rmtree(folder, ignore_errors=True)
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=None, help="of all random choices [default: a new one]")
    parser.add_argument("--minutes", type=float, default=3.0)
    parser.add_argument("--trainings", type=int, default=12)
    options = parser.parse_args()
    seed = options.seed if options.seed is not None else Random().randrange(10_000)
    return 1 if run_chaos(seed, 60 * options.minutes, options.trainings) else 0


if __name__ == "__main__":
    sys.exit(main())
