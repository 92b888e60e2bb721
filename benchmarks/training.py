"""How fast the service trains, beside a bare PyTorch loop on the same network: `python benchmarks/training.py`.

Each case is trained through the service, by REST, from files; its rate is what more epochs take longer, from POST to
finished, so that start-up does not count. The bare loop has its tensors in memory and does nothing but forward,
backward and the optimizer's step; it runs right before and right after, in a process of its own. The ratio is service
over bare.

The last column compares with the original toolkit's C++ engine, EDDL with ECVL. Where pyeddl and pyecvl are installed
it trains in its own loop from the same files (`eddl_loop.py`). Elsewhere, marked with ~, it is the service's rate over
that of the bare loop in float32, times what that loop had over EDDL on a machine where both were measured.
"""

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from dataclasses import asdict, dataclass
from importlib.util import find_spec
from pathlib import Path
from urllib.request import Request

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import cv2
import numpy as np
from rich.console import Console
from rich.table import Table

from app.demo.client import Client
from app.demo.service import running_service
from app.settings import CLONE_FOLDER

POLL_SECONDS = 0.05
BARE_SECONDS = 6.0
WARM_UP_STEPS = 3


@dataclass(frozen=True)
class Case:
    """A network, its images, and how many epochs give a rate."""

    model: str
    architecture: str
    channels: int
    side_px: int
    batch_size: int
    images: int
    more_epochs: int
    is_segmentation: bool = False
    augmentations: str = ""
    bare_over_eddl: float = 1.0  # a PyTorch loop in float32 over EDDL 1.1b, both measured on one machine with 2 cores


# The texts of the toolkit's own fixtures, as far as they do not resize.
MNIST_TEXT = "SequentialAugmentationContainer AugRotate angle=[-5,5] AugToFloat32 divisor=255 end"
CASES = {
    "lenet": Case("LeNet", "lenet", 1, 28, 64, 6000, 4, augmentations=MNIST_TEXT, bare_over_eddl=2.7),
    "resnet18": Case("ResNet18", "resnet18", 3, 128, 8, 200, 3, bare_over_eddl=2.7),
    "unet": Case("U-Net", "unet", 3, 128, 4, 60, 2, is_segmentation=True, bare_over_eddl=4.6),
}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--case", choices=CASES, action="append", help="only this one; may be repeated")
    parser.add_argument("--precision", choices=["float32", "mixed"], default="float32")
    parser.add_argument("--rounds", type=int, default=2, help="pairs of measurements")
    parser.add_argument("--bare", metavar="JSON", help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.bare:
        print(bare_rate(json.loads(arguments.bare)))
        return
    table = Table(
        title=f"images per second in training, {arguments.precision}, {os.cpu_count()} cores", title_justify="left"
    )
    for name in ("case", "bare PyTorch loop", "through the service", "ratio", "POST to first step", "over EDDL"):
        table.add_column(name, justify="right")
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as folder, running_service(Path(folder)) as url:
        client = Client(url)
        for name in arguments.case or CASES:
            table.add_row(*measured(client, CASES[name], Path(folder), arguments.precision, arguments.rounds))
    Console(highlight=False).print(table)


def measured(client: Client, case: Case, folder: Path, precision: str, rounds: int) -> list[str]:
    """Return the row of a case: medians over the rounds, and the ratio of neighbours in time."""
    dataset_id = register(client, case, folder / case.model)
    project_id = client.post("/projects", name=case.model, task_id=2 if case.is_segmentation else 1)["id"]
    model_id = next(model["id"] for model in client.get("/models") if model["name"] == case.model)
    request = {"project_id": project_id, "model_id": model_id, "dataset_id": dataset_id}
    bare, served, starts = [], [], []
    train(client, case, request, 1, precision)  # the check of the dataset, the first import
    for _ in range(rounds):
        bare.append(run_bare(case, precision))
        short, start = train(client, case, request, 1, precision)
        long, _ = train(client, case, request, 1 + case.more_epochs, precision)
        served.append(case.images * case.more_epochs / (long - short))
        starts.append(start)
    bare.append(run_bare(case, precision))
    reference = run_bare(case, "float32") if precision != "float32" else np.median(bare)
    if find_spec("pyeddl") and find_spec("pyecvl"):
        over_eddl = f"{np.median(served) / run_eddl(case, folder / case.model):.1f}"
    else:
        over_eddl = f"~{np.median(served) / reference * case.bare_over_eddl:.1f}"
    ratios = [rate / ((before + after) / 2) for rate, before, after in zip(served, bare, bare[1:], strict=False)]
    return [
        f"{case.model}, {case.side_px} px, batch {case.batch_size}",
        f"{np.median(bare):,.1f}",
        f"{np.median(served):,.1f}",
        f"{np.median(ratios):.2f}",
        f"{np.median(starts):.1f} s",
        over_eddl,
    ]


def register(client: Client, case: Case, folder: Path) -> int:
    """Write images, and masks, of noise over two brightnesses, and register them."""
    generator = np.random.default_rng(1)
    folder.mkdir()
    lines = ["classes: [dark]" if case.is_segmentation else "classes: [dark, bright]", "images:"]
    shape = (case.side_px, case.side_px, case.channels)
    for index in range(case.images):
        pixels = generator.integers(0, 200, shape).astype(np.uint8) + np.uint8(50 * (index % 2))
        cv2.imwrite(f"{folder}/{index}.png", pixels)
        label: str | int = index % 2
        if case.is_segmentation:
            label = f"mask{index}.png"
            cv2.imwrite(f"{folder}/{label}", (pixels[:, :, 0] > 128).astype(np.uint8) * 255)
        lines.append(f"  - {{location: {index}.png, label: {label}}}")
    lines.append(f"split: {{training: [{', '.join(map(str, range(case.images)))}]}}")
    (folder / "dataset.yml").write_text("\n".join(lines) + "\n")
    return upload_folder(client, case.model, 2 if case.is_segmentation else 1, folder)


def upload_folder(client: Client, name: str, task_id: int, folder: Path) -> int:
    """Register what lies in a folder, packed, and return the id of the dataset."""
    with tempfile.TemporaryDirectory(prefix="dht-bench-") as place:
        archive = Path(shutil.make_archive(f"{place}/images", "tar", folder)).read_bytes()
    return upload(client, {"name": name, "task_id": task_id}, archive)["id"]


def upload(
    client: Client, fields: dict, content: bytes, path: str = "/datasets", file_name: str = "images.tar"
) -> dict:
    """Send a file by a multipart form."""
    edge = "----------------dataset"
    parts = [f'--{edge}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{fields[name]}\r\n' for name in fields]
    head = f'--{edge}\r\nContent-Disposition: form-data; name="file"; filename="{file_name}"\r\n\r\n'
    body = "".join([*parts, head]).encode() + content + f"\r\n--{edge}--\r\n".encode()
    headers = {"Content-Type": f"multipart/form-data; boundary={edge}"}
    return json.loads(client.read(Request(client.url(path), body, headers, method="POST")))


def train(client: Client, case: Case, request: dict, epochs: int, precision: str) -> tuple[float, float]:
    """Train to the end; return the seconds from POST to finished, and from POST to the first step."""
    values = {
        "Epochs": epochs, "Batch size": case.batch_size, "Input height": case.side_px, "Input width": case.side_px,
        "Training augmentations": case.augmentations,
    }  # fmt: skip
    if case.is_segmentation:
        values["Loss function"] = "BinaryCrossEntropy"  # as the bare loop
    if precision != "float32":
        values["Precision"] = precision
    properties = [{"name": name, "value": value} for name, value in values.items()]
    began = time.monotonic()
    process_id = client.post("/train", **request, properties=properties)["process_id"]
    first_step = None
    while True:
        status = client.get("/status", process_id=process_id)["status"]
        if first_step is None and status["progress"] > 0:
            first_step = time.monotonic() - began
        if status["process_status"] == "error":
            raise SystemExit(f"{case.model}: {status['error']}")
        if status["process_status"] == "finished":
            return time.monotonic() - began, first_step or 0.0
        time.sleep(POLL_SECONDS)


def run_bare(case: Case, precision: str) -> float:
    """Run the bare loop in a process of its own; return its images per second."""
    facts = {name: getattr(case, name) for name in ("architecture", "channels", "side_px", "batch_size")}
    facts |= {"precision": precision, "is_segmentation": case.is_segmentation}
    command = [sys.executable, __file__, "--bare", json.dumps(facts)]
    ended = subprocess.run(command, check=True, capture_output=True, cwd=CLONE_FOLDER, text=True)
    return float(ended.stdout)


def run_eddl(case: Case, folder: Path) -> float:
    """Run EDDL's own loop on the files of a case; return its images per second."""
    facts = asdict(case) | {"dataset": str(folder / "dataset.yml")}
    command = [sys.executable, str(Path(__file__).with_name("eddl_loop.py")), json.dumps(facts)]
    environment = os.environ | {"OMP_WAIT_POLICY": "active"}  # with which it is fastest
    ended = subprocess.run(command, check=True, capture_output=True, env=environment, text=True)
    return float(ended.stdout.splitlines()[-1])


def bare_rate(facts: dict) -> float:
    """Train as a script would that does nothing else; return images per second."""
    import torch
    from torch.nn import functional

    from app.engines.torch_engine.architectures import BUILDERS

    torch.manual_seed(0)
    outputs = 1 if facts["is_segmentation"] else 2
    side, size = facts["side_px"], facts["batch_size"]
    network = BUILDERS[facts["architecture"]](facts["channels"], outputs, side, side).train()
    optimizer = torch.optim.Adam(network.parameters(), lr=1e-3)
    images = torch.rand(size * 8, facts["channels"], side, side)
    masks = (torch.rand(size * 8, 1, side, side) > 0.5).float()
    labels = torch.randint(0, 2, (size * 8,))

    def step(number: int) -> None:
        part = slice(number % 8 * size, number % 8 * size + size)
        with torch.autocast("cpu", torch.bfloat16, enabled=facts["precision"] == "mixed"):
            logits = network(images[part])
            if facts["is_segmentation"]:
                loss = functional.binary_cross_entropy_with_logits(logits, masks[part])
            else:
                loss = functional.cross_entropy(logits, labels[part])
        optimizer.zero_grad(set_to_none=True)
        loss.backward()
        optimizer.step()

    for number in range(WARM_UP_STEPS):
        step(number)
    began, steps = time.monotonic(), 0
    while time.monotonic() - began < BARE_SECONDS:
        step(steps)
        steps += 1
    return steps * size / (time.monotonic() - began)


if __name__ == "__main__":
    main()
