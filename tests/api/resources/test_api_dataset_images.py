"""The samples of a dataset and their small pictures, over the API."""

import io
import os

import numpy as np
import pytest
from api_sandbox import assert_error
from PIL import Image

from app.datasets.masks import MaskRule
from app.files import write_json


def picture_of(answer):
    assert answer.status_code == 200 and answer.mimetype == "image/png", answer.get_data(as_text=True)
    return Image.open(io.BytesIO(answer.data))


@pytest.fixture
def register(client, data_root):
    """Register a dataset of these image files, which may have masks, and return the address of its images."""

    def register(*names, masks=None, classes="[a, b]"):
        labels = masks or ["a"] * len(names)
        lines = "".join(
            f"  - {{location: {name}, label: {label}}}\n" for name, label in zip(names, labels, strict=True)
        )
        (data_root / "more.yml").write_text(f"classes: {classes}\nimages:\n{lines}")
        body = {"name": "More", "task_id": 2 if masks else 1, "path": str(data_root / "more.yml")}
        answer = client.post("/backend/datasets", json=body)
        assert answer.status_code == 201, answer.json
        return f"/backend/datasets/{answer.json['id']}/images"

    return register


def test_samples_are_listed_with_labels_and_pictures(client, dataset):
    address = f"/backend/datasets/{dataset['id']}/images"

    rows = client.get(address).json

    assert [row["index"] for row in rows] == list(range(8))
    assert rows[5] == {
        "index": 5,
        "location": ["5.png"],
        "labels": ["light"],
        "mask": None,
        "split": "validation",
        "values": {},
        "thumbnail": f"http://localhost{address}/5/thumbnail",
    }
    assert picture_of(client.get(rows[5]["thumbnail"])).getpixel((3, 3)) == (255, 255, 255)


def test_samples_of_a_split_in_pages(client, dataset):
    address = f"/backend/datasets/{dataset['id']}/images"

    assert [row["index"] for row in client.get(f"{address}?split=test").json] == [6, 7]
    page = client.get(f"{address}?split=training&page=2&page_size=3")
    assert [row["index"] for row in page.json] == [3] and '"total": 4' in page.headers["X-Pagination"]
    assert client.get(f"{address}?split=nothing").json == []
    assert_error(client.get("/backend/datasets/99/images"), 404)


def test_a_picture_is_small_and_upright(client, register, data_root):
    photo = Image.new("RGB", (1200, 600), "red")
    photo.paste("blue", (600, 0, 1200, 600))
    exif = photo.getexif()
    exif[0x0112] = 6
    photo.save(data_root / "photo.jpg", exif=exif)

    picture = picture_of(client.get(f"{register('photo.jpg')}/0/thumbnail"))

    assert picture.size == (128, 256)
    red, _, blue = picture.getpixel((64, 20))
    assert red > 200 and blue < 60


@pytest.mark.parametrize("name", ["photo.tif", "photo.png", "photo.webp"])
@pytest.mark.parametrize(("orientation", "size"), [(2, (256, 128)), (3, (256, 128)), (5, (128, 256)), (8, (128, 256))])
def test_a_picture_is_turned_once(client, register, data_root, name, orientation, size):
    photo = Image.new("L", (600, 300), 255)
    photo.paste(0, (0, 0, 300, 150))
    exif = photo.getexif()
    exif[0x0112] = orientation
    photo.save(data_root / name, exif=exif)

    picture = picture_of(client.get(f"{register(name)}/0/thumbnail"))

    assert picture.size == size
    dark = {2: (0.9, 0.1), 3: (0.9, 0.9), 5: (0.1, 0.1), 8: (0.1, 0.9)}[orientation]
    corners = [(x, y) for x in (0.1, 0.9) for y in (0.1, 0.9)]
    assert [at for at in corners if picture.getpixel((int(at[0] * size[0]), int(at[1] * size[1])))[0] < 100] == [dark]


def test_a_pipe_has_no_picture(client, dataset, data_root):
    (data_root / "2.png").unlink()
    os.mkfifo(data_root / "2.png")

    answer = client.get(f"/backend/datasets/{dataset['id']}/images/2/thumbnail")

    assert_error(answer, 422)
    assert "'2.png' is a pipe or a device" in answer.json["message"]


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "I;16", "CMYK", "F"])
def test_every_mode_has_a_picture(client, register, data_root, mode):
    grey = Image.fromarray(np.tile(np.arange(0, 250, 5, dtype=np.uint8), (30, 1)))
    image = Image.fromarray(np.asarray(grey).astype(np.uint16) * 256) if mode == "I;16" else grey.convert(mode)
    name = f"image{'.tif' if mode in ('F', 'CMYK') else '.png'}"
    image.save(data_root / name)

    picture = picture_of(client.get(f"{register(name)}/0/thumbnail"))

    assert picture.size == (50, 30) and picture.mode == "RGB"
    assert picture.getpixel((1, 5))[0] < 60 < 190 < picture.getpixel((48, 5))[0]


def give_rule(toolkit, address, rule):
    """Leave what a finished check leaves of the masks."""
    report = {"problems": [], "problem_counts": {"error": 0, "warning": 0}, "masks": {"rule": rule.to_dict()}}
    write_json(toolkit.storage.report(int(address.split("/")[3])), report)


HALF = np.zeros((20, 40), np.uint8)
HALF[:, 20:] = 1
PALETTE = Image.frombytes("P", (40, 20), HALF.tobytes())
PALETTE.putpalette([9, 9, 9, 200, 0, 0])


@pytest.mark.parametrize(
    ("mask", "rule"),
    [
        (Image.fromarray(HALF * 255), MaskRule({0: 0, 255: 1})),
        (Image.fromarray(HALF * 77), MaskRule({0: 0, 77: 1})),
        (Image.fromarray(HALF * 100 + 20), MaskRule(threshold=60)),
        (Image.fromarray(HALF * np.uint16(40000)), MaskRule({0: 0, 40000: 1})),
        (Image.fromarray(HALF.astype(bool)), MaskRule({0: 0, 1: 1})),
        (Image.fromarray(np.dstack([HALF * 255] * 3)), MaskRule({0: 0, 255: 1})),
        (PALETTE, MaskRule({0: 0, 1: 1})),
    ],
)
def test_a_mask_is_laid_over_its_image(client, toolkit, register, data_root, mask, rule):
    Image.new("L", (40, 20), 100).save(data_root / "image.png")
    mask.save(data_root / "mask.png")
    address = register("image.png", masks=["mask.png"], classes="[cell]")
    assert_error(client.get(f"{address}/0/thumbnail?mask=1"), 422)
    give_rule(toolkit, address, rule)

    plain = picture_of(client.get(f"{address}/0/thumbnail"))
    covered = picture_of(client.get(f"{address}/0/thumbnail?mask=1"))

    assert plain.getpixel((30, 10)) == covered.getpixel((10, 10)) == (100, 100, 100)
    red, green, _ = covered.getpixel((30, 10))
    assert red > 130 > green


def test_an_image_without_mask_is_shown_as_it_is(client, dataset):
    address = f"/backend/datasets/{dataset['id']}/images/0/thumbnail"

    assert client.get(f"{address}?mask=1").data == client.get(address).data


def test_a_picture_is_kept_until_its_image_changes(client, dataset, data_root, settings):
    address = f"/backend/datasets/{dataset['id']}/images/1/thumbnail"
    first = client.get(address)
    [kept] = (settings.storage_dir / "datasets" / str(dataset["id"]) / "thumbnails").iterdir()
    kept.write_bytes(b"kept")
    assert client.get(address).data == b"kept"

    os.utime(data_root / "1.png", (kept.stat().st_mtime + 10,) * 2)

    assert client.get(address).data == first.data


@pytest.mark.parametrize("content", [b"", b"no image", b"\x89PNG\r\n\x1a\n" + b"\0" * 50])
def test_a_broken_file_has_no_picture_and_is_named(client, dataset, data_root, content):
    (data_root / "2.png").write_bytes(content)

    answer = client.get(f"/backend/datasets/{dataset['id']}/images/2/thumbnail")

    assert_error(answer, 422)
    assert "'2.png'" in answer.json["message"]


def test_a_huge_image_is_not_decoded(client, dataset, data_root):
    Image.new("1", (9000, 9000)).save(data_root / "3.png")

    answer = client.get(f"/backend/datasets/{dataset['id']}/images/3/thumbnail")

    assert_error(answer, 422)
    assert "9000 x 9000" in answer.json["message"]


def test_links_out_of_the_open_folders_are_not_followed(client, dataset, data_root, tmp_path):
    Image.new("L", (5, 5)).save(tmp_path / "secret.png")
    (data_root / "4.png").unlink()
    (data_root / "4.png").symlink_to(tmp_path / "secret.png")

    answer = client.get(f"/backend/datasets/{dataset['id']}/images/4/thumbnail")

    assert_error(answer, 422)
    assert "outside" in answer.json["message"]


@pytest.mark.parametrize("index", ["8", "999999999999999", "-1", "x"])
def test_an_index_that_no_sample_has(client, dataset, index):
    assert_error(client.get(f"/backend/datasets/{dataset['id']}/images/{index}/thumbnail"), 404)
