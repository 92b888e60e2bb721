"""The demonstration from its first line to its last: train and test two networks through the REST API."""

import ast
import shutil
import time
from pathlib import Path

from app.demo.client import Client
from app.demo.scores import LabelledSplit, accuracy, confusion_matrix, dice_scores, read_split
from app.demo.screen import Screen
from app.demo.service import LOG_NAME, running_service, tail
from app.errors import JobFailure, ToolkitError
from app.launcher import storage_lock
from app.settings import CLONE_FOLDER

DEMO_FOLDER = CLONE_FOLDER / "demo"
DATASETS_FOLDER = CLONE_FOLDER / "datasets"
POLL_SECONDS = 0.25
LEAST_ACCURACY = 0.97

CLASSIFICATION, SEGMENTATION = 1, 2
DIGITS_PROPERTIES = {
    "Learning rate": 0.002,
    "Epochs": 15,
    "Batch size": 32,
    "Input height": 28,
    "Input width": 28,
    "Training augmentations": "AugRotate angle=[-10,10]",
    "Seed": 1,
}
NUCLEI_PROPERTIES = {
    "Learning rate": 0.001,
    "Epochs": 16,
    "Batch size": 8,
    "Input height": 64,
    "Input width": 64,
    "Training augmentations": "SequentialAugmentationContainer AugMirror p=0.5 AugFlip p=0.5 end",
    "Loss function": "BinaryCrossEntropy",
    "Metric": "Dice",
    "Seed": 1,
}


def run_demo(folder: Path = DEMO_FOLDER) -> None:
    """Run both examples on a fresh service in this folder, and show what they give.

    Raises:
        ToolkitError: a step failed; the last lines of the service's log are on the screen by then.
    """
    screen = Screen()
    began = time.monotonic()
    _empty(folder)
    screen.title("Starting the service: web server, two workers and Redis")
    with running_service(folder) as url:
        screen.line(f"{url}/backend/docs (after {time.monotonic() - began:.0f} s)")
        try:
            story = _Story(Client(url), screen, folder)
            story.digits()
            story.nuclei()
        except ToolkitError:
            screen.title(f"The last lines of {folder / LOG_NAME}")
            screen.text(tail(folder / LOG_NAME))
            raise
    screen.title(f"Done in {time.monotonic() - began:.0f} s; everything is stopped, and the files stay in {folder}")


class _Story:
    def __init__(self, client: Client, screen: Screen, folder: Path):
        self._client = client
        self._screen = screen
        self._folder = folder

    def digits(self) -> None:
        """Train LeNet on handwritten digits and count its mistakes on the test split.

        Raises:
            JobFailure: the accuracy is lower than it has to be.
        """
        self._screen.title("Handwritten digits: LeNet learns ten classes")
        answer, split = self._train_and_test(CLASSIFICATION, "LeNet", "Digits", DIGITS_PROPERTIES)
        scores = [ast.literal_eval(text)[0] for _, text in answer["outputs"]]
        matrix = confusion_matrix(split, scores)
        reached = accuracy(matrix)
        self._screen.line(f"Test accuracy {reached:.4f} on {len(scores)} images that it has not seen")
        self._screen.confusion(split.classes, matrix)
        if reached < LEAST_ACCURACY:
            raise JobFailure(f"The test accuracy is {reached:.4f}, lower than the {LEAST_ACCURACY} it has to be.")

    def nuclei(self) -> None:
        """Train U-Net on cell nuclei and compare its masks with the labels."""
        self._screen.title("Cell nuclei: U-Net learns to mark them")
        answer, split = self._train_and_test(SEGMENTATION, "U-Net", "Nuclei", NUCLEI_PROPERTIES)
        masks = [self._client.read(url) for url in answer["outputs"]]
        mean, micro = dice_scores(split, masks)
        self._screen.line(
            f"Test Dice {mean:.4f} (mean over {len(masks)} images that it has not seen), {micro:.4f} (micro)"
        )

    def _train_and_test(
        self, task_id: int, model_name: str, dataset_name: str, properties: dict
    ) -> tuple[dict, LabelledSplit]:
        """Go through the API once; return the answer of `/output` and the labels of the test split."""
        client = self._client
        model = _named(client.get("/models", task_id=task_id), model_name)
        dataset = self._dataset(task_id, dataset_name)
        project = client.post("/projects", name=f"{dataset_name} demo", task_id=task_id)
        training = client.post(
            "/train",
            project_id=project["id"],
            model_id=model["id"],
            dataset_id=dataset["id"],
            properties=[{"name": name, "value": value} for name, value in properties.items()],
        )
        self._wait(training["process_id"], f"training {model_name}")
        inference = client.post(
            "/inference",
            project_id=project["id"],
            modelweights_id=training["weight_id"],
            dataset_id=dataset["id"],
        )
        self._wait(inference["process_id"], "inference")
        answer = client.get("/output", process_id=inference["process_id"])
        self._show_places(training["weight_id"], inference["process_id"], answer)
        return answer, read_split(_shipped(dataset_name), "test")

    def _dataset(self, task_id: int, name: str) -> dict:
        """Return the shipped dataset; register it if nobody has."""
        known = self._client.get("/datasets", task_id=task_id)
        for dataset in known:
            if dataset["name"] == name:
                return dataset
        return self._client.post("/datasets", name=name, task_id=task_id, path=str(_shipped(name)))

    def _wait(self, process_id: str, title: str) -> None:
        with self._screen.progress(title) as view:
            while True:
                status = self._client.get("/status", process_id=process_id)["status"]
                view.show(status["progress"], status["process_data"])
                if status["process_status"] != "running":
                    break
                time.sleep(POLL_SECONDS)
        if status["process_status"] == "error":
            raise JobFailure(f"The {title} failed: {status['error']}")

    def _show_places(self, weights_id: int, process_id: str, answer: dict) -> None:
        weights = self._client.get(f"/weights/{weights_id}")
        log_path = Path(weights["logfile"])
        self._screen.line(f"Weights  {log_path.parent}")
        self._screen.line(f"Log      {log_path}")
        self._screen.line(f"Outputs  {self._folder / 'storage' / 'runs' / process_id / 'outputs'}")
        metrics = answer.get("metrics") or {}
        shown = ", ".join(f"{name} {value:.4f}" for name, value in metrics.items() if isinstance(value, float))
        if shown:
            self._screen.line(f"The service's own metrics: {shown}")


def _empty(folder: Path) -> None:
    """Remove what the last demonstration left, unless it still runs."""
    if folder.exists():
        with storage_lock(folder / "storage"):
            shutil.rmtree(folder)
    folder.mkdir(parents=True)


def _shipped(name: str) -> Path:
    return DATASETS_FOLDER / name.lower() / f"{name.lower()}.yml"


def _named(records: list[dict], name: str) -> dict:
    for record in records:
        if record["name"] == name:
            return record
    raise JobFailure(f"The service has no {name}; it has {', '.join(record['name'] for record in records)}.")
