"""Clients that write, train, infer, stop and poll, and keep a ledger of all that was acknowledged to them."""

import threading
import time
from contextlib import suppress
from random import Random

from served import Served, Unanswered

ANSWERS_OF_TROUBLE = (429, 503, 507)
GONE = None
FEWEST_LONG_EPOCHS = 40


class Ledger:
    """What the service has acknowledged."""

    def __init__(self):
        self.lock = threading.Lock()
        self.projects: dict[
            int, set[str | None]
        ] = {}  # every value that may be stored: more than one is unacknowledged
        self.trainings: dict[str, dict] = {}
        self.inferences: dict[str, int] = {}
        self.stopped: set[str] = set()
        self.faults: list[str] = []
        self.requests = 0
        self.unanswered = 0
        self.troubled = 0

    def fault(self, words: str) -> None:
        """Note what must not happen."""
        with self.lock:
            self.faults.append(words)


class Clients:
    """Threads, each with random choices of its own that follow from the seed."""

    def __init__(self, served: Served, ledger: Ledger, seed: int, ids: dict, most_trainings: int):
        self._served = served
        self._ledger = ledger
        self._seed = seed
        self._ids = ids
        self._most_trainings = most_trainings
        self._over = threading.Event()
        self._calm = threading.Event()  # cleared while nobody may ask
        self._calm.set()
        roles = [*[self._write] * 4, self._train, self._infer, self._stop, self._poll]
        self._threads = [
            threading.Thread(target=self._run, args=(role, Random(f"{seed}:{number}")), daemon=True)
            for number, role in enumerate(roles)
        ]

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def pause(self) -> None:
        """Have nobody ask anything."""
        self._calm.clear()
        time.sleep(0.5)

    def resume(self) -> None:
        self._calm.set()

    def end(self) -> None:
        self._over.set()
        self._calm.set()
        for thread in self._threads:
            thread.join(60)

    def _run(self, role, random: Random) -> None:
        while not self._over.is_set():
            self._calm.wait()
            try:
                role(random)
            except Unanswered:
                time.sleep(0.2)
            except Exception as error:
                self._ledger.fault(f"a client met {type(error).__name__}: {error}")

    def _send(self, method: str, path: str, body=None):
        """Return status and answer; 5xx but those that tell of trouble are faults."""
        with self._ledger.lock:
            self._ledger.requests += 1
        try:
            status, answer = self._served.send(method, path, body)
        except Unanswered:
            with self._ledger.lock:
                self._ledger.unanswered += 1
            raise
        if status in ANSWERS_OF_TROUBLE:
            with self._ledger.lock:
                self._ledger.troubled += 1
            if not (answer or {}).get("message"):
                self._ledger.fault(f"{method} {path} answered {status} without a sentence")
            time.sleep(0.2)
        elif status >= 500:
            self._ledger.fault(f"{method} {path} answered {status}: {answer}")
        return status, answer

    def _write(self, random: Random) -> None:
        """Create, rename or delete a project of this thread."""
        own = threading.get_ident()
        mine = [key for key in list(self._ledger.projects) if self._ids.get(("owner", key)) == own]
        choice = random.random()
        if choice < 0.5 or not mine:
            name = f"project {self._seed} {random.getrandbits(40):x}"
            status, answer = self._send("POST", "/projects", {"name": name, "task_id": 1})
            if status == 201:
                if answer["id"] in self._ledger.projects:
                    self._ledger.fault(f"the id of project {answer['id']} was given twice")
                self._ids["owner", answer["id"]] = own
                self._ledger.projects[answer["id"]] = {name}
            return
        key = random.choice(mine)
        before = self._ledger.projects[key]
        after = f"renamed {random.getrandbits(40):x}" if choice < 0.85 else GONE
        self._ledger.projects[key] = before | {after}
        if after is GONE:
            status, _ = self._send("DELETE", f"/projects/{key}")
        else:
            status, _ = self._send("PUT", f"/projects/{key}", {"name": after})
        if status < 300:
            self._ledger.projects[key] = {after}
        elif status == 404 and GONE in before:
            self._ledger.projects[key] = {GONE}
        elif status not in ANSWERS_OF_TROUBLE:
            self._ledger.fault(f"project {key} with {before} answered {status}")

    def _train(self, random: Random) -> None:
        time.sleep(random.uniform(0.2, 1.5))
        if len(self._ledger.trainings) >= self._most_trainings:
            return
        epochs = random.choice([1, 2, 3, FEWEST_LONG_EPOCHS])
        properties = [{"name": "Epochs", "value": str(epochs)}, {"name": "Batch size", "value": "2"}]
        body = {"model_id": 1, "dataset_id": self._ids["dataset"], "project_id": self._ids["project"]}
        status, answer = self._send("POST", "/train", body | {"properties": properties})
        if status == 201:
            self._ledger.trainings[answer["process_id"]] = {"epochs": epochs, "weights_id": answer["weight_id"]}
        elif status not in ANSWERS_OF_TROUBLE:
            self._ledger.fault(f"POST /train answered {status}: {answer}")

    def _infer(self, random: Random) -> None:
        time.sleep(random.uniform(0.5, 2))
        if len(self._ledger.inferences) >= 4 * self._most_trainings:
            return
        body = {"modelweights_id": self._ids["weights"], "project_id": self._ids["project"]}
        status, answer = self._send("POST", "/inference", body | {"dataset_id": self._ids["dataset"]})
        if status == 201:
            self._ledger.inferences[answer["process_id"]] = self._ids["test_count"]
        elif status not in ANSWERS_OF_TROUBLE:
            self._ledger.fault(f"POST /inference answered {status}: {answer}")

    def _stop(self, random: Random) -> None:
        """Stop a training now and then: the long ones, or the queue would never end."""
        time.sleep(random.uniform(1, 3))
        running = [key for key in list(self._ledger.trainings) if key not in self._ledger.stopped]
        long = [key for key in running if self._ledger.trainings[key]["epochs"] >= FEWEST_LONG_EPOCHS]
        if not long or random.random() < 0.5:
            return
        process_id = random.choice(long)
        status, answer = self._send("POST", "/stopProcess", {"process_id": process_id})
        if status == 200:
            self._ledger.stopped.add(process_id)
        elif status != 409 and status not in ANSWERS_OF_TROUBLE:
            self._ledger.fault(f"a stop answered {status}: {answer}")

    def _poll(self, random: Random) -> None:
        """Look at a process: one that was acknowledged is known for ever."""
        time.sleep(0.02)
        known = [*self._ledger.trainings, *self._ledger.inferences]
        if known:
            process_id = random.choice(known)
            status, answer = self._send("GET", f"/status?process_id={process_id}")
            if status != 200 and status not in ANSWERS_OF_TROUBLE:
                self._ledger.fault(f"/status of {process_id} answered {status}: {answer}")
        with suppress(IndexError):
            self._send("GET", f"/projects?page={random.randint(1, 5)}&page_size=20")
