"""A dataset is refused for a task that it does not fit, with all reasons."""

import pytest

from app.datasets.checks import check_for_task, check_has_split, check_trainable
from app.datasets.description import Description, Sample
from app.datasets.yaml_format.reading import read
from app.errors import DatasetError


def described(*samples, classes=("ant", "bee"), **splits):
    return Description("Insects", "", classes, (), samples, splits)


def faults(check, *arguments, **keywords):
    with pytest.raises(DatasetError) as caught:
        check(*arguments, **keywords)
    assert list(caught.value.errors) == [keywords.get("subject", "dataset" if check is check_for_task else "Insects")]
    return [str(problem) for problem in caught.value.problems]


@pytest.fixture
def folder(tmp_path):
    for name in ("a.png", "b.png", "m.png"):
        (tmp_path / name).touch()
    return tmp_path


CLASSES = (Sample(("a.png",), classes=(0,)), Sample(("b.png",), classes=(1,)))
MASKS = (Sample(("a.png",), mask="m.png"), Sample(("b.png",)))


def test_fitting_datasets_pass(folder):
    check_for_task(described(*CLASSES, training=(0, 1)), "classification", folder)
    check_for_task(described(*MASKS, classes=()), "Segmentation", folder)
    check_trainable(described(*CLASSES, training=(0, 1)), "Classification")
    check_trainable(described(*MASKS, classes=(), training=(0,)), "segmentation")
    check_has_split(described(*MASKS, test=(1,)), "test")


def test_masks_do_not_fit_classification(folder):
    [fault] = faults(check_for_task, described(*CLASSES, *MASKS[:1]), "classification", folder)
    assert fault == "images[2].label is wrong: 'a.png' has a mask as its label, but classification needs a class."


def test_classes_do_not_fit_segmentation(folder):
    [fault] = faults(check_for_task, described(*CLASSES), "segmentation", folder)
    assert "images[0].label" in fault
    assert "segmentation needs a mask (the first of 2 such images)" in fault


def test_images_without_labels_fit_each_task(folder):
    check_for_task(described(*MASKS[1:], classes=()), "classification", folder)
    check_for_task(described(*MASKS[1:], classes=()), "segmentation", folder)


def test_faults_have_the_lines_of_a_description_that_was_read(folder):
    images = "".join(f"  - {{location: {index}.png, label: m.png}}\n" for index in range(7))
    description = read(f"images:\n  - a.png\n  - {{location: /etc/a, label: m.png}}\n{images}".encode(), "lab.yml")
    for task_name, places in (("segmentation", [3, 4, 5, 6, 7, 8, 9]), ("classification", [3, 3, 4, 5, 6, 7, 8, 9])):
        problems = faults(check_for_task, description, task_name, folder, [folder], subject="lab.yml")
        assert [int(problem.split(":")[0].removeprefix("line ")) for problem in problems] == places
    assert problems[0].startswith("line 3: images[1].label is wrong: '/etc/a' has a mask as its label")
    assert problems[1] == "line 3: images[1].location lies outside the folders that are open to datasets: '/etc/a'."
    assert problems[2] == "line 4: images[2].location names a file that does not exist: '0.png'."
    assert problems[7].startswith("line 9: images have 2 more such locations")


def test_folders_separated_as_on_windows_are_explained(folder):
    [fault] = faults(check_for_task, described(Sample(("a\\b.png",), classes=(0,))), "classification", folder)
    assert fault.endswith("; folders are separated by / here.")


def test_missing_files_are_counted_and_the_first_named(folder):
    samples = [Sample((f"{index}.png",), mask="m.png") for index in range(8)] + [Sample(("a.png",), mask="no.png")]
    problems = faults(check_for_task, described(*samples), "segmentation", folder)
    assert problems[0] == "images[0].location names a file that does not exist: '0.png'."
    assert len(problems) == 6
    assert "4 more" in problems[5]


def test_folders_and_impossible_names_are_no_files(folder):
    (folder / "folder").mkdir()
    samples = [Sample((name,), classes=(0,)) for name in ("folder", "x" * 5000, "a\0.png", "folder#slice=1")]
    problems = faults(check_for_task, described(*samples), "classification", folder)
    assert len(problems) == 4
    assert sum("names a folder, not an image: 'folder" in problem for problem in problems) == 2


def test_files_of_unused_samples_and_urls_are_not_looked_for(folder):
    samples = [Sample(("no.png",)), Sample(("https://lab.example/x.png",), classes=(0,))]
    check_for_task(described(*samples, training=(1,)), "classification", folder)


def test_files_may_be_kept_inside_of_folders(folder, tmp_path_factory):
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.touch()
    (folder / "link.png").symlink_to(outside)
    (folder / "twice").mkdir()
    names = ["a.png", "twice/../b.png", "link.png", str(outside), "../../../../../etc/passwd"]
    samples = [Sample((name,), classes=(0,)) for name in names]
    problems = faults(check_for_task, described(*samples), "classification", folder, roots=[folder])
    assert [problem.split(".")[0] for problem in problems] == ["images[2]", "images[3]", "images[4]"]
    assert all("outside the folders that are open to datasets" in problem for problem in problems)


def test_training_needs_a_training_split():
    [fault] = faults(check_trainable, described(*CLASSES, train=(0, 1)), "classification")
    assert fault == "split.training is missing; did you mean 'train'?"
    [fault] = faults(check_trainable, described(*CLASSES, training=()), "classification")
    assert fault == "split.training has no image; list at least one index."
    [fault] = faults(check_trainable, described(*CLASSES), "classification")
    assert fault == "split.training is missing; the dataset has no splits."


def test_training_needs_labels():
    [fault] = faults(check_trainable, described(*MASKS, training=(1,)), "segmentation")
    assert fault.startswith("split.training has images without a label")


def test_training_takes_images_of_any_number_of_classes():
    samples = [*CLASSES, Sample(("c.png",), classes=(0, 1)), Sample(("d.png",), classes=())]
    check_trainable(described(*samples, training=(0, 1), validation=(2, 3)), "classification")
    check_trainable(described(CLASSES[0], samples[3], classes=("ant",), training=(0, 1)), "classification")


def test_training_needs_two_classes():
    [fault] = faults(check_trainable, described(CLASSES[0], classes=("ant",), training=(0,)), "classification")
    assert fault == ("classes has 1 names; classification needs at least 2, or images without the one, labelled [].")


def test_absent_test_split_names_those_there_are():
    [fault] = faults(check_has_split, described(*CLASSES, training=(0,), fold=(1,)), "test")
    assert fault.startswith("split.test is missing; ")
    assert "training" in fault


def test_part_of_a_file_is_judged_by_its_file(folder, tmp_path_factory):
    samples = (Sample(("a.png#low=0&high=9",), mask="none.tif#page=1"),)
    assert (
        "names a file that does not exist: 'none.tif#page=1'"
        in faults(check_for_task, described(*samples, classes=()), "segmentation", folder)[0]
    )
    outside = tmp_path_factory.mktemp("outside") / "secret.png"
    outside.touch()
    (folder / "door.png").symlink_to(outside)
    (fault,) = faults(
        check_for_task, described(Sample(("door.png#low=0&high=9",))), "classification", folder, roots=[folder]
    )
    assert "lies outside the folders that are open to datasets" in fault
