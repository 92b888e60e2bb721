"""The commands for augmentation texts, as they are typed."""

import subprocess
import sys

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from app.augment.parser import parse
from app.augment.pipeline import Pipeline
from app.augment.randomness import sample_generator
from app.cli import main
from app.settings import CLONE_FOLDER

ROTATE = "AugRotate angle=[-40,40]\n"


def dht(*words):
    return CliRunner().invoke(main, [str(word) for word in words])


def pixels(seed, *shape):
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


@pytest.fixture
def place(tmp_path):
    """Return a function that writes an array or a text and returns its path."""

    def place(name, content):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        if isinstance(content, str):
            path.write_text(content)
        elif path.suffix == ".npy":
            np.save(path, content)
        else:
            Image.fromarray(content).save(path)
        return path

    return place


def test_a_sound_text_is_printed_as_the_toolkit_writes_it(place):
    answer = dht("check-augmentation", place("t.txt", "\tAugFlip   p=0.50 # often\r\n"))

    assert (answer.exit_code, answer.stdout) == (0, "AugFlip p=0.5\n")


def test_every_problem_is_printed_with_its_line_and_a_caret(place):
    text = "SequentialAugmentationContainer\n\tAugFlip p=2\n\tAugRotat\nend\n"

    answer = dht("check-augmentation", place("t.txt", text))

    assert answer.exit_code == 1
    assert answer.stdout == (
        "line 2, column 12: AugFlip: p must be from 0 to 1, not 2.\n"
        "     AugFlip p=2\n"
        "               ^\n"
        "line 3, column 2: There is no operation AugRotat; did you mean AugRotate?\n"
        "     AugRotat\n"
        "     ^\n"
        "2 problems\n"
    )


@pytest.mark.parametrize("command", ["apply-augmentation", "preview-augmentation"])
def test_no_command_uses_a_faulty_text_and_each_tells_all_that_is_wrong(place, tmp_path, command):
    text, image = place("t.txt", "AugFlip p=2 q=1"), place("i.npy", pixels(0, 6, 8))

    answer = dht(command, text, image, "--out", tmp_path / "out.png")

    assert answer.exit_code == 1
    assert answer.stderr == (
        "Error: The augmentation text cannot be used.\n"
        "line 1, column 11: AugFlip: p must be from 0 to 1, not 2.\n"
        "    AugFlip p=2 q=1\n"
        "              ^\n"
        "line 1, column 13: AugFlip has no parameter q; it has p.\n"
        "    AugFlip p=2 q=1\n"
        "                ^\n"
        "2 problems\n"
    )
    assert not (tmp_path / "out.png").exists()


@pytest.mark.parametrize("content", [b"\xff\xfe\0", b"AugFlip p=\xfc"])
def test_a_file_that_is_no_text_is_told_by_place(tmp_path, content):
    (tmp_path / "t.txt").write_bytes(content)

    answer = dht("check-augmentation", tmp_path / "t.txt")

    assert answer.exit_code == 1 and answer.stdout.startswith("line 1, column ")


def test_a_latin_comment_is_no_problem(tmp_path):
    (tmp_path / "t.txt").write_bytes("# für alle\nAugFlip\n".encode("latin-1"))

    assert dht("check-augmentation", tmp_path / "t.txt").stdout == "AugFlip\n"


def test_an_absent_text_is_one_sentence(tmp_path):
    answer = dht("check-augmentation", tmp_path / "none.txt")

    assert answer.exit_code == 1
    assert answer.output == f"Error: {tmp_path / 'none.txt'} cannot be read: No such file or directory.\n"


@pytest.mark.parametrize(
    "pixels", [pixels(0, 9, 12), pixels(1, 9, 12, 1), pixels(2, 9, 12, 3), pixels(3, 9, 12, 3).astype(np.float32) / 255]
)
def test_an_array_gives_the_exact_array_and_keeps_its_form(place, tmp_path, pixels):
    first, second = place("first.npy", pixels[::-1]), place("second.npy", pixels)

    answer = dht("apply-augmentation", place("t.txt", ROTATE), first, second, "--out", tmp_path / "out", "--seed", 5)

    assert answer.exit_code == 0, answer.output
    result = np.load(tmp_path / "out" / "second.npy")
    expected, _ = Pipeline(parse(ROTATE))(pixels.reshape(9, 12, -1), None, sample_generator(5, 1, 1))
    assert result.dtype == pixels.dtype and result.shape == pixels.shape
    np.testing.assert_array_equal(result, expected.reshape(pixels.shape))
    assert not np.array_equal(result, pixels)


def test_masks_move_along_and_are_scaled_as_ecvl_does(place, tmp_path):
    text = "SequentialAugmentationContainer\nAugMirror p=1\nAugToFloat32 divisor=255 divisor_gt=5\nend"
    image, mask = pixels(0, 6, 8, 3), pixels(1, 6, 8)

    answer = dht(
        "apply-augmentation", place("t.txt", text), place("i.npy", image), "--masks", place("m.npy", mask),
        "--out", tmp_path / "out",
    )  # fmt: skip

    assert answer.output == f"Wrote 1 images and 1 masks to {tmp_path / 'out'}.\n"
    np.testing.assert_allclose(np.load(tmp_path / "out" / "i.npy"), image[:, ::-1] / np.float32(255), rtol=1e-6)
    np.testing.assert_allclose(np.load(tmp_path / "out" / "m.npy"), mask[:, ::-1] / np.float32(5), rtol=1e-6)


def test_it_runs_as_a_module_with_masks_in_the_order_of_the_images(place, tmp_path):
    images = [place(f"i{index}.npy", pixels(index, 5, 5)) for index in range(3)]
    masks = [place(f"m{index}.npy", pixels(index, 5, 5)) for index in range(3)]
    command = [sys.executable, "-m", "app.cli", "apply-augmentation", place("t.txt", "AugTranspose p=1"), *images]
    command += ["--masks", masks[0], masks[1], "--masks", masks[2], "--out", tmp_path / "out"]

    subprocess.run(list(map(str, command)), cwd=CLONE_FOLDER, check=True, capture_output=True)

    for index in range(3):
        for letter in "im":
            result = np.load(tmp_path / "out" / f"{letter}{index}.npy")
            np.testing.assert_array_equal(result, pixels(index, 5, 5).T)


def test_image_files_stay_image_files_in_rgb_order(place, tmp_path):
    image, mask = pixels(0, 6, 8, 3), pixels(1, 6, 8)
    images = [place("i.png", image), place("i.bmp", image)]
    masks = [place("m.png", mask), place("m.tif", mask)]
    text = "SequentialAugmentationContainer\nAugFlip p=1\nAugToFloat32 divisor=255\nend"

    answer = dht("apply-augmentation", place("t.txt", text), *images, "--masks", *masks, "--out", tmp_path / "out")

    assert answer.exit_code == 0 and answer.stderr.count("exact ones.") == 2
    for name in ("i.png", "i.bmp"):
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), image[::-1])
    for name in ("m.png", "m.tif"):  # classes, which are not divided
        np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / name)), mask[::-1])


def test_what_is_not_written_as_its_own_kind_becomes_png(place, tmp_path):
    path = place("scan.tif", pixels(0, 6, 8))
    photo = place("photo.jpg", pixels(1, 8, 8, 3))

    answer = dht("apply-augmentation", place("t.txt", ""), f"{path}#page=0", photo, "--out", tmp_path / "out")

    assert answer.exit_code == 0, answer.output
    written = {name.name: Image.open(name).format for name in (tmp_path / "out").iterdir()}
    assert written == {"scan.tif#page=0.png": "PNG", "photo.jpg": "JPEG"}


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["text", "none.npy"], "'none.npy' does not exist."),
        (["text", "."], "'.' is a folder, not a file."),
        (["text", "a.npy", "b.npy", "--masks", "m.npy"], "There are 2 images and 1 masks; give one mask for each"),
        (["text", "a.npy", "sub/a.npy"], "'a.npy' and 'sub/a.npy' would both be written as 'a.npy'; rename one"),
        (["text", "a.npy", "--masks", "sub/a.npy"], "would both be written as 'a.npy'"),
        (["text", "a.npy", "--masks", "small.npy"], "The mask of 'a.npy' has 3 x 2 pixels and the image 8 x 6;"),
        (["text", "double.npy"], "'double.npy' holds float64; uint8 or float32 is expected."),
        (["text", "flat.npy"], "'flat.npy' has the shape (4,); (H, W) or (H, W, C) is expected."),
        (["text", "a.npy", "--masks", "colour.npy"], "has the shape (6, 8, 3); (H, W) is expected."),
        (["text", "objects.npy"], "'objects.npy' is no whole array that numpy.save has written."),
        (["text", "cut.npy"], "'cut.npy' is no whole array that numpy.save has written."),
        (["text", "text.png"], "'text.png' is not an image that can be read."),
        (["crop", "a.npy"], "a.npy: AugCenterCrop cannot cut 99 x 99 out of an image of 8 x 6 pixels;"),
        (["text", "a.npy", "--out", "."], "The result of 'a.npy' would lie in the folder of its source;"),
        (["text", "a.npy", "--out", "text"], "'text' is a file; the folder for the results is expected."),
        (["text", "a.npy", "--out", "text/below"], "text/below cannot be made (Not a directory)"),
        (["text"], "Missing argument 'IMAGE...'"),
        (["text", "a.npy", "--masks"], "Option '--masks' requires an argument."),
    ],
)
def test_a_fault_is_one_sentence(place, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    for name in ("a.npy", "b.npy", "sub/a.npy", "m.npy"):
        place(name, pixels(0, 6, 8))
    place("small.npy", pixels(0, 2, 3))
    place("colour.npy", pixels(0, 6, 8, 3))
    place("double.npy", np.zeros((4, 4)))
    place("flat.npy", np.zeros(4, np.uint8))
    np.save("objects.npy", np.array([[{}]]), allow_pickle=True)
    place("cut.npy", "\x93NUMPY")
    place("text.png", "no image")
    place("text", "AugFlip p=1")
    place("crop", "AugCenterCrop size=(99,99)")

    answer = dht("apply-augmentation", *words, *([] if "--out" in words else ["--out", "out"]))

    assert answer.exit_code in (1, 2) and told in answer.output, answer.output
    assert answer.output.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in answer.output


def test_a_preview_is_drawn_as_the_api_draws_it(place, tmp_path):
    image, mask = place("i.npy", pixels(0, 20, 30, 3)), place("m.png", np.eye(20, 30, dtype=np.uint8) * 255)
    words = ["preview-augmentation", place("t.txt", ROTATE), image, "--mask", mask, "--count", 3, "--size", 40]

    for name, seed in (("a.png", 4), ("b.png", 4), ("c.png", 5)):
        answer = dht(*words, "--seed", seed, "--out", tmp_path / name)
        assert answer.output == f"Wrote {tmp_path / name}.\n"

    assert Image.open(tmp_path / "a.png").size == (98, 130)
    first, second, third = ((tmp_path / name).read_bytes() for name in ("a.png", "b.png", "c.png"))
    assert first == second != third


@pytest.mark.parametrize(
    ("words", "told"),
    [
        (["t.txt", "none.png", "--out", "p.png"], "'none.png' does not exist."),
        (["t.txt", "i.png", "--out", "p.jpg"], "'p.jpg' is no name of a PNG file; let it end with .png."),
        (["t.txt", "i.png", "--out", "i.png"], "'i.png' is an input, which would be lost;"),
        (["t.txt", "i.png", "--out", "none/p.png"], "none/p.png cannot be written"),
        (["t.txt", "i.png", "--mask", "m.png", "--out", "p.png"], "The mask has 3 x 2 pixels and its image 8 x 6;"),
    ],
)
def test_a_preview_that_cannot_be_drawn_is_one_sentence(place, tmp_path, monkeypatch, words, told):
    monkeypatch.chdir(tmp_path)
    place("i.png", pixels(0, 6, 8))
    place("m.png", pixels(0, 2, 3))
    place("t.txt", ROTATE)

    answer = dht("preview-augmentation", *words)

    assert answer.exit_code == 1 and told in answer.output, answer.output
    assert not (tmp_path / "p.png").exists()


def test_an_image_that_does_not_fit_keeps_no_other_from_being_written(place, tmp_path):
    images = [place("grey.npy", pixels(0, 4, 5)), place("colour.npy", pixels(1, 4, 5, 3)), place("b.npy", "nothing")]

    answer = dht(
        "apply-augmentation",
        place("t.txt", "AugNormalize mean=(1,2,3) std=(1,1,1)"),
        *images,
        "--out",
        tmp_path / "out",
    )

    assert answer.exit_code == 1
    first, second, last = answer.output.splitlines()
    assert first.startswith("Error: grey.npy: AugNormalize has 3 values") and "b.npy' is no whole array" in second
    assert last == "The results of the other 1 are written."
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["colour.npy"]
