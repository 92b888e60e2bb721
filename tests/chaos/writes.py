"""Write with many clients through four web workers that are killed at any moment, then look for what was acknowledged.

`python tests/chaos/writes.py --count 10000 --seed 7`: projects are created, renamed and deleted, while web processes,
and now and then all of them at once, get signal 9. Then everything acknowledged has to be there, nothing may be half
there, every file has to parse and `dht verify-storage` to find nothing. The exit code is 1 if anything is wrong.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import tempfile
import threading
import time
from contextlib import suppress
from pathlib import Path
from random import Random

import psutil
from served import CLONE, WITHOUT_WORKERS, WORDS, Served, Unanswered

GONE = None
TROUBLE = (429, 503)
SECONDS_BETWEEN_FULL_KILLS = 16.0  # a service that ends five times within a minute is given up


class Writer(threading.Thread):
    """One client with projects of its own. Whatever was not answered may have happened or not."""

    def __init__(self, served: Served, name: str, count: int, seed: int):
        super().__init__(name=name)
        self._served = served
        self._random = Random(f"{seed} {name}")
        self._count = count
        self.projects: dict[int, set[str | None]] = {}
        self.maybe: set[str] = set()
        self.acknowledged = 0

    def run(self) -> None:
        for number in range(self._count):
            name = f"{self.name} {number} " + "x" * self._random.randrange(120)
            settled = [key for key, names in self.projects.items() if GONE not in names]
            verb = self._random.choices(["create", "rename", "delete"], [6, 4, 1])[0] if settled else "create"
            if verb == "create":
                self._create(name)
            else:
                self._change(self._random.choice(settled), name if verb == "rename" else GONE)

    def _create(self, name: str) -> None:
        self.maybe.add(name)
        answer = self._send("POST", "/projects", {"name": name, "task_id": 1})
        if answer is not None:
            self.maybe.discard(name)
            self.projects[answer["id"]] = {name}

    def _change(self, key: int, name: str | None) -> None:
        method, body = ("PUT", {"name": name}) if name is not GONE else ("DELETE", None)
        self.projects[key] |= {name}
        if self._send(method, f"/projects/{key}", body) is not None:
            self.projects[key] = {name}

    def _send(self, method: str, path: str, body: dict | None) -> dict | None:
        """Return the answer, None where nobody knows what has happened."""
        try:
            status, answer = self._served.send(method, path, body)
        except Unanswered:
            time.sleep(0.05)
            return None
        if status in TROUBLE or (method == "DELETE" and status == 404):
            return None
        assert status in (200, 201, 204), (method, path, status, answer)
        self.acknowledged += 1
        return answer or {}


def write_and_kill(served: Served, count: int, clients: int, seed: int, pause: tuple[float, float]) -> list[Writer]:
    """Let the clients write so often in all, while web processes are killed; return the clients."""
    random = Random(seed)
    writers = [Writer(served, f"client {number}", count // clients, seed) for number in range(clients)]
    for writer in writers:
        writer.start()
    kills, all_killed = 0, time.monotonic()
    while any(writer.is_alive() for writer in writers):
        time.sleep(random.uniform(*pause))
        master, *workers = served.programs(WORDS["web"]) or [None]
        is_for_all = master is not None and time.monotonic() - all_killed > SECONDS_BETWEEN_FULL_KILLS
        if is_for_all:
            all_killed = time.monotonic()
        for victim in [master, *workers] if is_for_all else random.sample(workers, min(1, len(workers))):
            with suppress(psutil.Error):
                os.kill(victim.pid, signal.SIGKILL)
                kills += 1
    for writer in writers:
        writer.join()
    acknowledged = sum(writer.acknowledged for writer in writers)
    print(f"{count} writes by {clients} clients, {acknowledged} acknowledged, {kills} web processes killed", flush=True)
    return writers


def faults(served: Served, writers: list[Writer]) -> list[str]:
    """Return what is lost, half there or damaged."""
    listed = served.settled("GET", "/projects")
    stored = {record["id"]: record["name"] for record in listed}
    found = [] if len(stored) == len(listed) else ["an id was given twice"]
    known: set[int] = set()
    maybe: set[str] = set()
    for writer in writers:
        known |= writer.projects.keys()
        maybe |= writer.maybe
        found += [
            f"project {key} is {stored.get(key)!r}, and {names} was acknowledged"
            for key, names in writer.projects.items()
            if stored.get(key, GONE) not in names
        ]
    found += [f"project {key} is {stored[key]!r}" for key in stored.keys() - known if stored[key] not in maybe]
    for path in served.storage.rglob("*.json"):
        with suppress(FileNotFoundError):
            json.loads(path.read_bytes())
    return found


def verified(storage: Path, *options: str) -> subprocess.CompletedProcess:
    """Run `dht verify-storage` on a storage folder that nobody serves."""
    command = [sys.executable, "-m", "app.cli", "verify-storage", *options]
    environment = os.environ | {"STORAGE_DIR": str(storage)}
    return subprocess.run(command, cwd=CLONE, env=environment, capture_output=True, text=True, check=False)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=10_000)
    parser.add_argument("--clients", type=int, default=16)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    with tempfile.TemporaryDirectory(prefix="dht-writes-") as folder:
        served = Served(Path(folder), Path(folder) / "storage", Path(folder), WITHOUT_WORKERS)
        served.start()
        began = time.monotonic()
        writers = write_and_kill(served, options.count, options.clients, options.seed, (0.2, 2.0))
        print(f"in {time.monotonic() - began:.0f} s", flush=True)
        found = faults(served, writers)
        served.kill_all()
        repaired = verified(served.storage, "--repair")  # a killed writer leaves its draft
        print(repaired.stdout, end="")
        found += [] if repaired.returncode == 0 else [repaired.stdout + repaired.stderr]
        served.start()
        found += faults(served, writers)
        served.stop()
    print("\n".join(found) or "nothing is lost, nothing is half there")
    return 1 if found else 0


if __name__ == "__main__":
    sys.exit(main())
