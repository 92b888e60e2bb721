import numpy as np
import pytest
from PIL import Image
from test_training_loading import config_for, folder

from app.datasets.masks import MaskRule
from app.datasets.yaml_format.reading import read_file
from app.engines import get_engine
from app.errors import StorageUnavailable
from app.runs.configs import Prediction
from app.runs.layout import RunFolder
from app.runs.reader import read_rows
from app.settings import Settings
from app.training.loading import SampleReader
from app.training.predict import class_translation, predict
from app.training.remote import LocalCopies

__all__ = ["folder"]


def run(folder, indexes, config, should_stop=lambda: False, keep=lambda write: write()):
    description = read_file(folder / "set.yml", 10_000)
    copies = LocalCopies(folder / "copies", Settings())
    reader = SampleReader(description, folder, config, copies, 10_000, MaskRule({0: 0, 1: 1, 2: 2}))
    run_folder = RunFolder(folder / "run")
    run_folder.outputs.mkdir(parents=True, exist_ok=True)
    lines = []
    engine = get_engine("torch")
    loader = engine.loader(reader, indexes, config, "test", has_labels=False)
    written, metrics = predict(
        engine.build(config), reader, loader, config, run_folder, lambda *told: lines.append(told), should_stop, keep
    )
    return written, metrics, read_rows(run_folder.predictions, Prediction), run_folder, lines


def test_scores_come_in_the_order_of_the_split_with_their_metrics(folder):
    indexes = [10, 3, 7, 0, 1]

    written, metrics, rows, _, lines = run(folder, indexes, config_for(batch_size=2))

    assert written == 5
    assert [row["image"] for row in rows] == ["10.png", "3.png", "7.png", "0.png", "1.png"]
    scores = np.array([row["scores"] for row in rows])
    np.testing.assert_allclose(scores.sum(axis=1), 1, atol=1e-6)
    truth = np.array([0, 1, 1, 0, 1])
    assert metrics["accuracy"] == np.mean(scores.argmax(axis=1) == truth)
    assert lines[-1][0].startswith("Inference - batch 3/3") and lines[-1][1] == 1


def test_rows_that_could_not_be_written_are_there_once_when_they_can(folder):
    predictions = RunFolder(folder / "run").predictions
    predictions.mkdir(parents=True)  # so that the first row cannot be written
    failed = []

    def keep(write):
        try:
            write()
        except StorageUnavailable as error:
            failed.append(error)
            predictions.rmdir()
            write()

    written, metrics, rows, *_ = run(folder, [10, 3, 7], config_for(batch_size=2), keep=keep)

    assert len(failed) == 1
    assert written == 3 and metrics["accuracy"] is not None
    assert [row["image"] for row in rows] == ["10.png", "3.png", "7.png"]


def test_an_inference_that_is_to_stop_while_it_waits_for_the_disk_stops(folder):
    predictions = RunFolder(folder / "run").predictions
    predictions.mkdir(parents=True)

    def keep(write):
        try:
            write()
        finally:
            predictions.rmdir()

    assert run(folder, [10, 3, 7], config_for(), keep=keep)[:3] == (0, None, [])


def test_classes_are_matched_by_name_when_the_dataset_lists_them_in_another_order(folder):
    same = run(folder, [0, 1, 2], config_for())[1]
    text = (folder / "set.yml").read_text().replace("classes: [a, b]", "classes: [b, a]")
    (folder / "set.yml").write_text(text)
    (folder / "run").rename(folder / "first_run")

    assert run(folder, [0, 1, 2], config_for())[1] == same


@pytest.mark.parametrize(
    ("dataset", "trained", "translation"),
    [
        ([], [], [0, 1]),
        (["cell"], ["nucleus"], [0, 1]),
        (["back", "a", "b"], ["back", "b", "a"], [0, 2, 1]),
        (["a"], ["back", "b", "a"], [0, 2]),
        (["back", "a"], ["a"], [0, 1]),
        (["back", "c"], ["back", "a"], None),
        (["back", "a", "b"], ["a"], None),
    ],
)
def test_masks_are_compared_by_the_names_of_their_classes(dataset, trained, translation):
    found = class_translation(dataset, trained)

    assert (None if found is None else found.tolist()) == translation


def test_images_without_labels_get_rows_and_no_metrics(folder):
    (folder / "set.yml").write_text("images: [0.png, 1.png]\n")

    written, metrics, rows, _, _ = run(folder, [0, 1], config_for())

    assert (written, metrics, len(rows)) == (2, None, 2)


def test_a_stop_keeps_the_rows_that_are_there(folder):
    asked = iter([False, True])

    written, metrics, rows, _, _ = run(folder, range(11), config_for(), lambda: next(asked))

    assert (written, metrics, len(rows)) == (4, None, 4)


@pytest.mark.parametrize("classes", [("cell",), ("background", "a", "b")])
def test_masks_have_the_size_of_their_images_and_their_dice_can_be_computed_again(tmp_path, classes):
    generator = np.random.default_rng(0)
    for index, (height, width) in enumerate([(40, 50), (64, 33)]):
        Image.fromarray(generator.integers(0, 255, (height, width), dtype=np.uint8)).save(tmp_path / f"{index}.png")
        highest = 2 if len(classes) == 1 else 3
        mask = generator.integers(0, highest, (height, width), dtype=np.uint8)
        Image.fromarray(mask).save(tmp_path / f"m{index}.png")
    lines = "".join(f"  - {{location: {index}.png, label: m{index}.png}}\n" for index in range(2))
    (tmp_path / "set.yml").write_text(f"classes: [{', '.join(classes)}]\nimages:\n{lines}")
    config = config_for(
        task="segmentation", architecture="unet", classes=classes, input_height=32, input_width=32, loss="dice"
    )

    _, metrics, rows, run_folder, _ = run(tmp_path, [1, 0], config)

    assert [row["image"] for row in rows] == ["1.png", "0.png"]
    dice = []
    for row in rows:
        predicted = np.array(Image.open(run_folder.outputs / row["mask"]))
        truth = np.array(Image.open(tmp_path / f"m{row['image']}"))
        assert predicted.shape == truth.shape
        predicted = predicted // 255 if len(classes) == 1 else predicted
        for label in range(1, max(2, len(classes))):
            both = np.sum((predicted == label) & (truth == label))
            dice.append(2 * both / (np.sum(predicted == label) + np.sum(truth == label)))
    assert metrics["dice"] == pytest.approx(np.mean(dice), abs=1e-12)


def test_multi_label_rows_name_every_class_that_is_there(folder):
    labels = ["[a, b]", "b", "[]"]
    lines = [f"  - {{location: {index}.png, label: {label}}}" for index, label in enumerate(labels)]
    (folder / "set.yml").write_text("classes: [b, a]\nimages:\n" + "\n".join(lines) + "\n")

    _, metrics, rows, _, _ = run(folder, [0, 1, 2], config_for(loss="binary_cross_entropy", is_multi_label=True))

    assert [row["target"] for row in rows] == [[0, 1], [1], []]  # by the order of the weights' classes: a, b
    decided = np.array([row["scores"] for row in rows]) >= 0.5
    assert metrics["binary_accuracy"] == pytest.approx(np.mean(decided == [[1, 1], [0, 1], [0, 0]]))
    assert {name: entry["images"] for name, entry in metrics["per_class"].items()} == {"a": 1, "b": 2}


def test_multi_label_weights_are_not_scored_on_a_dataset_that_labels_fewer_classes(folder):
    config = config_for(loss="binary_cross_entropy", is_multi_label=True, classes=("a", "b", "c"))

    _, metrics, rows, _, _ = run(folder, [0, 1], config)

    assert metrics is None and not any("target" in row for row in rows)
