"""Images and masks as arrays; broken files are one sentence with the file's name."""

import os
import struct
import zlib
from functools import partial
from pathlib import Path

import cv2
import numpy as np
import pytest
from mask_reading import read_mask
from PIL import Image

from app.datasets import images
from app.datasets.masks import MaskRule
from app.errors import JobFailure

FOLDER = Path(__file__).parent.parent / "data" / "datasets" / "ecvl"
read_image = partial(images.read_image, max_pixels=1_000_000)


@pytest.fixture
def noise():
    return np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)


@pytest.mark.parametrize(
    ("name", "channels", "pixel"),
    [
        ("c0.png", 3, [5, 10, 15]),
        ("c2.png", 3, [25, 50, 75]),
        ("c2.png", 1, [45]),
        ("g2.png", 3, [80, 80, 80]),
        ("g2.png", 1, [80]),
        ("rgba.png", 3, [10, 20, 30]),
        ("pal.png", 3, [204, 102, 51]),
        ("bit1.png", 1, [255]),
    ],
)
def test_pixels_are_those_that_ecvl_gives(name, channels, pixel):
    image = read_image([FOLDER / "img" / name], channels)
    assert image.shape == (6, 8, channels)
    assert image.dtype == np.uint8
    assert image[0, 0].tolist() == pixel


def test_exif_orientation_is_applied():
    assert read_image([FOLDER / "img" / "exif6.jpg"], 3).shape == (8, 6, 3)


def test_sixteen_bits_become_the_upper_eight(tmp_path):
    values = np.array([[0, 255, 256, 511, 65535, 40000]], np.uint16)
    for name in ("a.png", "a.tif"):
        Image.fromarray(values).save(tmp_path / name)
        assert read_image([tmp_path / name], 1)[0, :, 0].tolist() == (values[0] >> 8).tolist()


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif", "a.tiff"])
def test_lossless_formats_give_the_pixels_back(tmp_path, noise, name):
    Image.fromarray(noise).save(tmp_path / name)
    assert (read_image([tmp_path / name], 3) == noise).all()
    assert np.abs(read_image([tmp_path / name], 1)[..., 0] - noise @ [0.299, 0.587, 0.114]).max() < 1


def test_jpeg_is_read_as_rgb(tmp_path):
    Image.new("RGB", (64, 48), (200, 100, 50)).save(tmp_path / "a.jpg", quality=95)
    assert np.abs(read_image([tmp_path / "a.jpg"], 3).astype(int) - [200, 100, 50]).max() < 6


def test_planes_are_stacked_as_channels():
    planes = [FOLDER / "img" / f"g{index}.png" for index in (0, 1, 2)]
    assert read_image(planes, 3)[0, 0].tolist() == [0, 40, 80]
    assert read_image(planes[:2], 2).shape == (6, 8, 2)


def test_planes_have_to_fit():
    one, other = FOLDER / "img" / "g0.png", FOLDER / "img" / "small4x9.png"
    with pytest.raises(JobFailure, match=r"small4x9.png' has 4 x 9 pixels and the first plane 8 x 6"):
        read_image([one, other], 2)
    with pytest.raises(JobFailure, match="has 2 planes, but 3 channels"):
        read_image([one, one], 3)
    with pytest.raises(JobFailure, match="gives 1 or 3 channels, but 2"):
        read_image([one], 2)


def damaged(content, name):
    ways = {"half": content[: len(content) // 2], "start": content[:40], "tail": content[:-8], "empty": b""}
    return ways[name]


@pytest.mark.parametrize("suffix", [".png", ".jpg", ".bmp", ".tif"])
@pytest.mark.parametrize("way", ["half", "start", "tail", "empty"])
@pytest.mark.parametrize("read", [partial(read_image, channels=3), lambda paths: read_mask(paths[0], 2)])
def test_damaged_file_is_named(tmp_path, noise, suffix, way, read):
    path = tmp_path / f"slide{suffix}"
    Image.fromarray(np.repeat(noise[..., :1], 3, axis=2)).save(path)
    path.write_bytes(damaged(path.read_bytes(), way))
    with pytest.raises(JobFailure) as caught:
        read([path])
    assert f"slide{suffix}" in caught.value.message


def test_jpeg_whose_thumbnail_is_whole_is_still_cut_off(tmp_path, noise):
    path = tmp_path / "a.jpg"
    Image.fromarray(noise).save(path)
    content = path.read_bytes()
    thumbnail = b"\xff\xe1" + struct.pack(">H", len(content) + 2) + content
    path.write_bytes(content[:2] + thumbnail + content[2:-100])
    with pytest.raises(JobFailure, match="cut off"):
        read_image([path], 3)


@pytest.mark.parametrize("name", ["notanimage.png", "empty.png", "none.png", "."])
def test_file_that_is_no_image_is_named(name):
    with pytest.raises(JobFailure, match=str((FOLDER / "img" / name).name)):
        read_image([FOLDER / "img" / name], 3)
    with pytest.raises(JobFailure):
        read_mask(FOLDER / "img" / name, 2)


def test_image_of_too_many_pixels_is_not_decoded(tmp_path):
    for suffix in ("png", "jpg", "tif"):
        path = tmp_path / f"big.{suffix}"
        Image.new("L", (1000, 1001)).save(path)
        for read in (lambda path: images.read_image([path], 1, max_pixels=1_000_999), lambda path: read_mask(path, 2)):
            with pytest.raises(JobFailure, match="1000 x 1001 pixels, more than"):
                read(path)
        assert images.read_image([path], 1, max_pixels=1_001_000).shape == (1001, 1000, 1)


def test_damaged_files_are_not_told_twice(tmp_path, noise, capfd):
    Image.fromarray(noise).save(tmp_path / "a.tif")
    (tmp_path / "a.tif").write_bytes((tmp_path / "a.tif").read_bytes()[:-200])
    with pytest.raises(JobFailure):
        read_image([tmp_path / "a.tif"], 3)
    assert capfd.readouterr().err == ""


def mask_file(folder, values, **options):
    Image.fromarray(np.asarray(values)).save(folder / "mask.png", **options)
    return folder / "mask.png"


@pytest.mark.parametrize("class_count", [0, 1, 2])
@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (np.uint8([[0, 1]]), [[0, 1]]),
        (np.uint8([[0, 255]]), [[0, 1]]),
        (np.uint8([[0, 127, 128, 255]]), [[0, 0, 1, 1]]),
        (np.uint8([[0, 0]]), [[0, 0]]),
        (np.uint16([[0, 65535]]), [[0, 1]]),
        (np.array([[False, True]]), [[0, 1]]),
        (np.uint8([[[0, 0, 0], [255, 255, 255]]]), [[0, 1]]),
        (np.uint8([[[0, 0, 0, 255], [255, 255, 255, 9]]]), [[0, 1]]),
        (np.uint8([[[0, 255], [255, 0]]]), [[0, 1]]),
    ],
)
def test_binary_mask(tmp_path, values, expected, class_count):
    mask = read_mask(mask_file(tmp_path, values), class_count)
    assert mask.dtype == np.uint8
    assert mask.tolist() == expected


def test_values_of_several_classes_are_indexes(tmp_path):
    path = mask_file(tmp_path, np.uint8([[0, 1], [2, 3]]))
    assert read_mask(path, 4).tolist() == [[0, 1], [2, 3]]
    with pytest.raises(JobFailure) as caught:
        images.read_mask(path, MaskRule({0: 0, 1: 1, 2: 2}), max_pixels=100)
    assert (
        caught.value.message
        == f"The mask {str(path)!r} holds the value 3; the dataset's masks have the values 0, 1, 2."
    )


def test_coloured_mask_is_refused(tmp_path):
    with pytest.raises(JobFailure, match="is coloured"):
        read_mask(mask_file(tmp_path, np.uint8([[[255, 0, 0], [0, 0, 0]]])), 3)


@pytest.mark.parametrize("class_count", [1, 2, 3, 21, 256])
def test_written_mask_is_read_back(tmp_path, class_count):
    path = tmp_path / "mask.png"
    class_map = np.random.default_rng(2).integers(0, max(2, class_count), (30, 41))
    class_map[0, 0] = max(1, class_count - 1)
    images.write_mask(path, class_map, class_count)
    assert (read_mask(path, class_count) == class_map).all()
    with Image.open(path) as image:
        assert (image.mode, image.size) == ("L" if class_count <= 2 else "P", (41, 30))
    assert [file.name for file in tmp_path.iterdir()] == ["mask.png"]


def test_binary_mask_is_written_black_and_white(tmp_path):
    images.write_mask(tmp_path / "mask.png", np.array([[0, 1]]), 2)
    assert cv2.imread(str(tmp_path / "mask.png"), cv2.IMREAD_UNCHANGED).tolist() == [[0, 255]]


def test_classes_are_written_in_different_colours(tmp_path):
    images.write_mask(tmp_path / "mask.png", np.arange(20).reshape(4, 5), 20)
    colours = np.asarray(Image.open(tmp_path / "mask.png").convert("RGB")).reshape(-1, 3)
    assert colours[0].tolist() == [0, 0, 0]
    distances = np.abs(colours[:, None].astype(int) - colours).sum(axis=2) + 999 * np.eye(20, dtype=int)
    assert distances.min() > 30


def test_more_classes_than_a_palette_holds_are_refused(tmp_path):
    with pytest.raises(JobFailure, match="256 colours"):
        images.write_mask(tmp_path / "mask.png", np.zeros((2, 2), int), 257)


def test_decompression_bomb_is_refused_before_it_is_unpacked(tmp_path):
    chunk = b"IHDR" + struct.pack(">IIBBBBB", 60_000, 60_000, 8, 0, 0, 0, 0)
    header = struct.pack(">I", 13) + chunk + struct.pack(">I", zlib.crc32(chunk))
    (tmp_path / "bomb.png").write_bytes(b"\x89PNG\r\n\x1a\n" + header + b"\0" * 100)
    with pytest.raises(JobFailure, match="60000 x 60000 pixels"):
        read_image([tmp_path / "bomb.png"], 1)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_mapping_is_applied(tmp_path, dtype):
    path = mask_file(tmp_path, np.array([[0, 127], [255, 128]], dtype))
    assert read_mask(path, 3).tolist() == [[0, 1], [2, 1]]
    assert read_mask(path, 2).tolist() == [[0, 0], [1, 1]]


def test_palette_mask_holds_its_indexes(tmp_path):
    image = Image.frombytes("P", (3, 1), bytes([0, 2, 1]))
    image.putpalette([0, 0, 0, 200, 0, 0, 0, 200, 0])
    image.save(tmp_path / "mask.png")
    assert read_mask(tmp_path / "mask.png", 3).tolist() == [[0, 2, 1]]


@pytest.mark.parametrize(
    ("values", "expected"),
    [([[0.0, 1.0]], [[0, 1]]), ([[0.0, 2.0]], [[0, 2]]), ([[0.0, 0.4, 0.6, 1.0]], [[0, 102, 153, 255]])],
)
def test_floats_of_a_mask(tmp_path, values, expected):
    Image.fromarray(np.float32(values)).save(tmp_path / "mask.tif")
    assert images.read_mask_values(tmp_path / "mask.tif", max_pixels=100).tolist() == expected


@pytest.mark.parametrize(("values", "wrong"), [([[0.5, 3]], "0.5"), ([[np.nan, 1]], "no numbers")])
def test_floats_that_are_no_classes_are_refused(tmp_path, values, wrong):
    Image.fromarray(np.float32(values)).save(tmp_path / "mask.tif")
    with pytest.raises(JobFailure, match=rf"mask\.tif' holds .*{wrong}"):
        read_mask(tmp_path / "mask.tif", 2)


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.ppm"])
def test_other_formats_are_read(tmp_path, name):
    Image.new("RGB", (8, 6), (51, 102, 204)).save(tmp_path / name, **({"lossless": True} if "webp" in name else {}))
    assert read_image([tmp_path / name], 3)[3, 3].tolist() == [51, 102, 204]


def test_alpha_of_webp_is_dropped(tmp_path):
    Image.new("RGBA", (8, 6), (51, 102, 204, 90)).save(tmp_path / "a.webp", lossless=True, exact=True)
    assert read_image([tmp_path / "a.webp"], 3)[3, 3].tolist() == [51, 102, 204]


def test_sixteen_bit_colours_become_the_upper_eight(tmp_path):
    colours = np.uint16([[[0, 255, 256], [512, 40000, 65535]]])
    assert cv2.imwrite(str(tmp_path / "a.png"), colours[..., ::-1])
    assert read_image([tmp_path / "a.png"], 3).tolist() == (colours >> 8).tolist()


@pytest.mark.parametrize("depth", [1, 2, 4])
def test_grey_of_few_bits_is_spread_in_images_and_left_alone_in_masks(tmp_path, depth):
    numbers = np.arange(48).reshape(6, 8) % 2**depth
    bits = np.unpackbits(numbers.astype(np.uint8)[..., np.newaxis], axis=2)[..., -depth:]
    (tmp_path / "a.png").write_bytes(grey_png(np.packbits(bits.reshape(6, -1), axis=1), 8, depth))
    assert read_image([tmp_path / "a.png"], 1)[..., 0].tolist() == (numbers * 255 // (2**depth - 1)).tolist()
    assert images.read_mask_values(tmp_path / "a.png", max_pixels=100).tolist() == numbers.tolist()


def grey_png(rows, width, depth):
    chunks = [
        b"IHDR" + struct.pack(">IIBBBBB", width, len(rows), depth, 0, 0, 0, 0),
        b"IDAT" + zlib.compress(b"".join(b"\0" + row.tobytes() for row in rows)),
        b"IEND",
    ]
    parts = (struct.pack(">I", len(chunk) - 4) + chunk + struct.pack(">I", zlib.crc32(chunk)) for chunk in chunks)
    return b"\x89PNG\r\n\x1a\n" + b"".join(parts)


@pytest.mark.parametrize("name", ["pipe.png", "pipe.jpg", "pipe.tif", "pipe.dcm", "pipe.nii.gz", "pipe.svs", "pipe"])
def test_a_pipe_keeps_nobody_waiting(tmp_path, name):
    os.mkfifo(tmp_path / name)
    for read in (partial(read_image, channels=1), lambda places: images.read_mask_values(places[0], max_pixels=100)):
        with pytest.raises(JobFailure, match=f"{name}' is a pipe or a device, not an image"):
            read([tmp_path / name])
