"""What the API bears while a training runs, and what that costs the training: `python benchmarks/api.py`.

Clients are locust's, one request a second each, on the same machine: what they themselves compute counts too, so that
the table says how many of its cores they, and the web processes, had. The training's pace during a load is compared
with its pace right before and right after. At the end, 1,000 inferences are queued by eight clients at once.
"""

import argparse
import json
import os
import re
import resource
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import numpy as np
import psutil
from rich.console import Console
from rich.table import Table
from single_inference import trained

from app.demo.client import Client
from app.demo.service import LOG_NAME, running_service

LOAD = Path(__file__).with_name("api_load.py")
CALM_SECONDS = 10.0
BEGINS = re.compile(r"begins: .*\[([0-9a-f-]{36})\]")


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--clients", type=int, nargs="*", default=[50, 200])
    parser.add_argument("--seconds", type=int, default=20, help="of each load")
    parser.add_argument("--jobs", type=int, default=1000, help="inferences that are queued at the end")
    arguments = parser.parse_args()
    console = Console(highlight=False)
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as folder, running_service(Path(folder)) as url:
        client = Client(url)
        project_id = client.post("/projects", name="Load", task_id=1)["id"]
        weights_id, image = trained(client, "LeNet", project_id, 1, 28, Path(folder) / "images")
        process_id, model_id = long_training(client, project_id)
        asked_for = {
            "BENCH_PROCESS_IDS": process_id, "BENCH_MODEL_ID": str(model_id), "BENCH_WEIGHTS_ID": str(weights_id)
        }  # fmt: skip
        table = Table(title="one request a second from each client, while a training runs", title_justify="left")
        for name in ("clients", "req/s", "p50", "p99", "errors", "cores of clients", "of the web", "pace"):
            table.add_column(name, justify="right")
        for count in arguments.clients:
            pace = partial(progress_in, client, process_id)
            table.add_row(str(count), *loaded(url, count, arguments.seconds, pace, asked_for))
        console.print(table)
        client.post("/stopProcess", process_id=process_id)
        if arguments.jobs:
            console.print(queued(client, arguments.jobs, weights_id, project_id, image, Path(folder) / LOG_NAME))


def long_training(client: Client, project_id: int) -> tuple[str, int]:
    """Start a training that lasts longer than the measurement; return its process id and the id of its model."""
    dataset_id = client.get("/datasets", task_id=1)[-1]["id"]
    model_id = next(model["id"] for model in client.get("/models") if model["name"] == "ResNet18")
    values = {"Epochs": 100_000, "Batch size": 8, "Input height": 64, "Input width": 64}
    properties = [{"name": name, "value": value} for name, value in values.items()]
    request = {"project_id": project_id, "model_id": model_id, "dataset_id": dataset_id}
    process_id = client.post("/train", **request, properties=properties)["process_id"]
    while (status := client.get("/status", process_id=process_id)["status"])["progress"] == 0:
        if status["process_status"] != "running":
            raise SystemExit(status["error"])
        time.sleep(0.1)
    return process_id, model_id


def progress_in(client: Client, process_id: str, work) -> tuple[float, object]:
    """Do some work; return the training's progress in a second meanwhile, and what came out of the work."""
    began, before = time.monotonic(), client.get("/status", process_id=process_id)["status"]["progress"]
    result = work()
    after = client.get("/status", process_id=process_id)["status"]["progress"]
    return (after - before) / (time.monotonic() - began), result


def loaded(url: str, clients: int, seconds: int, pace, asked_for: dict[str, str]) -> list[str]:
    """Return the row of a load, with the training's pace as a part of what it is without."""
    calm_before, _ = pace(partial(time.sleep, CALM_SECONDS))
    web = [process for process in psutil.Process().children(recursive=True) if "wsgi:app" in process.cmdline()]
    clients_before, web_before = children_seconds(), cpu_seconds(web)
    during, statistics = pace(partial(run_locust, url, clients, seconds, asked_for))
    clients_cores = (children_seconds() - clients_before) / seconds
    web_cores = (cpu_seconds(web) - web_before) / seconds
    calm_after, _ = pace(partial(time.sleep, CALM_SECONDS))
    milliseconds = np.array(statistics["milliseconds"])
    median, highest = np.percentile(milliseconds, [50, 99])
    share = during / ((calm_before + calm_after) / 2)
    rate = len(milliseconds) / seconds
    cores = f"{clients_cores:.2f}", f"{web_cores:.2f}"
    return [f"{rate:.0f}", f"{median:.0f} ms", f"{highest:.0f} ms", str(statistics["errors"]), *cores, f"{share:.2f}"]


def children_seconds() -> float:
    """Return the processor time of the programs that were run and have ended, locust above all."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def cpu_seconds(processes: Sequence[psutil.Process]) -> float:
    """Return the processor time of some running programs."""
    times = [process.cpu_times() for process in processes]
    return sum(each.user + each.system for each in times)


def run_locust(url: str, clients: int, seconds: int, asked_for: dict[str, str]) -> dict:
    """Let clients ask; return the milliseconds of each answer, and the number of errors."""
    command = [sys.executable, "-m", "locust", "-f", str(LOAD), "--headless", "--only-summary", "--json", "-H", url]
    command += ["-u", str(clients), "-r", str(clients), "-t", f"{seconds}s", "--loglevel", "ERROR"]
    ended = subprocess.run(command, capture_output=True, text=True, env=os.environ | asked_for)
    if not ended.stdout:
        raise SystemExit(f"locust did not run; `.venv/bin/pip install locust` installs it: {ended.stderr.strip()}")
    entries = json.loads(ended.stdout)
    milliseconds = [
        float(time_ms) for entry in entries for time_ms, count in entry["response_times"].items() for _ in range(count)
    ]
    return {"milliseconds": milliseconds, "errors": sum(entry["num_failures"] for entry in entries)}


def queued(client: Client, jobs: int, weights_id: int, project_id: int, image: str, log: Path) -> str:
    """Queue many inferences, wait for the last one, and say how that went."""
    request = {"modelweights_id": weights_id, "project_id": project_id, "image_data": image}
    began = time.monotonic()
    with ThreadPoolExecutor(8) as clients:
        ids = list(clients.map(lambda _: client.post("/inferenceSingle", **request)["process_id"], range(jobs)))
    accepted = time.monotonic() - began
    finished = wait_for_all(client, ids)
    elapsed = time.monotonic() - began
    times = Counter(BEGINS.findall(log.read_text("utf-8", "replace")))
    return (
        f"{jobs} inferences: accepted in {accepted:.1f} s, {finished} finished in {elapsed:.1f} s; "
        f"{sum(times[process_id] != 1 for process_id in ids)} not run exactly once"
    )


def wait_for_all(client: Client, ids: Sequence[str]) -> int:
    """Wait until all have ended; return how many have outputs."""
    finished = 0
    for process_id in ids:
        while (status := client.get("/status", process_id=process_id)["status"])["process_status"] == "running":
            time.sleep(0.05)
        finished += status["process_status"] == "finished"
    return finished


if __name__ == "__main__":
    main()
