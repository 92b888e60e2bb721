"""Previews of augmentation texts over the API, drawn by the real program."""

import io

import numpy as np
import pytest
from api_sandbox import assert_error
from PIL import Image

from app.api.schemas.augmentations import MOST_RESULTS
from app.datasets.masks import MaskRule
from app.files import write_json

ADDRESS = "/backend/augmentations/preview"


def picture_of(answer):
    assert answer.status_code == 200 and answer.mimetype == "image/png", answer.get_data(as_text=True)
    return Image.open(io.BytesIO(answer.data))


def content(pixels, form="PNG"):
    buffer = io.BytesIO()
    if form == "NPY":
        np.save(buffer, pixels)
    else:
        Image.fromarray(pixels).save(buffer, form)
    buffer.seek(0)
    return buffer


HALF = np.zeros((40, 60), np.uint8)
HALF[:, 30:] = 200


def upload(client, text, pixels=HALF, name="image.png", form="PNG", **fields):
    body = {"text": text, "image": (content(pixels, form), name), "count": 1, "size": 60, **fields}
    return client.post(ADDRESS, data=body, content_type="multipart/form-data")


def cells(picture, size, count):
    """Return the pixels of each square cell of a sheet in one row or more, without its caption."""
    columns = int(np.ceil(np.sqrt(count)))
    pixels = np.asarray(picture)
    corners = [(6 + index // columns * (size + 22) + 16, 6 + index % columns * (size + 6)) for index in range(count)]
    return [pixels[top : top + size, left : left + size] for top, left in corners]


def test_an_image_of_a_dataset_is_shown_with_its_results(client, dataset):
    body = {"text": "AugBrightness beta=[-100,-100]", "dataset_id": dataset["id"], "image_index": 1, "size": 64}

    picture = picture_of(client.post(ADDRESS, json=body))

    assert picture.size == (3 * 70 + 6, 3 * 86 + 6)
    original, *results = cells(picture, 64, 9)
    assert (original == 255).all()
    assert all((result == 155).all() for result in results)


def test_the_same_seed_gives_the_same_bytes(client, dataset, data_root):
    noise = np.random.default_rng(0).integers(0, 256, (28, 28), dtype=np.uint8)
    Image.fromarray(noise).save(data_root / "0.png")
    body = {"text": "AugElasticTransform alpha=[20,60] sigma=[3,4]", "dataset_id": dataset["id"], "seed": 5}

    first = client.post(ADDRESS, json=body)

    assert picture_of(first) and first.data == client.post(ADDRESS, json=body).data
    assert first.data != client.post(ADDRESS, json={**body, "seed": 6}).data
    assert first.data != client.post(ADDRESS, json={**body, "image_index": 2}).data


def test_an_uploaded_image_moves_with_its_mask(client):
    mask = np.where(HALF > 0, 7, 0).astype(np.uint8)

    original, result = cells(picture_of(upload(client, "AugMirror p=1", mask=(content(mask), "mask.png"))), 60, 2)

    red = [230, 60, 50]
    assert original[20, 30].tolist() == red and original[20, 40].tolist() == [200] * 3
    assert result[20, 29].tolist() == red and result[20, 20].tolist() == [200] * 3


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("AugToFloat32 divisor=255", {0, 200}),
        ("SequentialAugmentationContainer AugToFloat32 divisor=1 AugNormalize mean=50 std=3 end", {0, 255}),
        ("AugDivBy255", {0}),
    ],
)
def test_floating_point_results_are_shown(client, text, shown):
    _, result = cells(picture_of(upload(client, text)), 60, 2)

    assert set(np.unique(result[:40])) == shown


def test_results_are_drawn_to_one_scale(client):
    _, result = cells(picture_of(upload(client, "AugCenterCrop size=(30,20)")), 60, 2)

    assert (result[20:] == 255).all() and (result[:, 30:] == 255).all()  # paper
    assert (result[:20, :15] == 0).all() and (result[:20, 15:30] == 200).all()


@pytest.mark.parametrize(
    ("pixels", "name", "form"),
    [
        (HALF.astype(np.uint16) * 256, "deep.png", "PNG"),
        (HALF.astype(np.float32) / 255, "values.tif", "TIFF"),
        (np.dstack([HALF] * 3), "photo.bmp", "BMP"),
        (HALF, "array.npy", "NPY"),
        (np.dstack([HALF] * 2).astype(np.float32) / 255, "planes.npy", "NPY"),
    ],
)
def test_images_of_many_kinds_are_shown(client, pixels, name, form):
    original, _ = cells(picture_of(upload(client, "AugFlip", pixels, name, form)), 60, 2)

    assert original[20, 10].max() == 0 and original[20, 50].max() == 200


def test_an_uploaded_dicom_file_is_shown(client):
    pydicom = pytest.importorskip("pydicom")
    scan = pydicom.Dataset()
    scan.file_meta = pydicom.dataset.FileMetaDataset()
    scan.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    scan.Rows, scan.Columns = HALF.shape
    scan.SamplesPerPixel, scan.PhotometricInterpretation, scan.PixelRepresentation = 1, "MONOCHROME2", 0
    scan.BitsAllocated = scan.BitsStored = 8
    scan.HighBit = 7
    scan.PixelData = HALF.tobytes()
    buffer = io.BytesIO()
    pydicom.dcmwrite(buffer, scan, enforce_file_format=False)
    buffer.seek(0)
    body = {"text": "", "image": (buffer, "scan.dcm"), "count": 1, "size": 60}

    original, _ = cells(picture_of(client.post(ADDRESS, data=body)), 60, 2)

    assert original[20, 10].max() == 0 and original[20, 50].max() > 190


@pytest.fixture
def masked(client, data_root):
    """A dataset of one image whose mask has two values that stand for one class."""
    Image.fromarray(HALF).save(data_root / "image.png")
    values = np.zeros_like(HALF)
    values[:, 30:45], values[:, 45:] = 1, 255
    Image.fromarray(values).save(data_root / "mask.png")
    (data_root / "masked.yml").write_text("classes: [cell]\nimages:\n  - {location: image.png, label: mask.png}\n")
    body = {"name": "Masked", "task_id": 2, "path": str(data_root / "masked.yml")}
    return client.post("/backend/datasets", json=body).json


def test_masks_of_a_dataset_mean_what_its_check_found(client, toolkit, masked):
    body = {"text": "AugFlip p=1", "dataset_id": masked["id"], "count": 1, "size": 60}
    before, _ = cells(picture_of(client.post(ADDRESS, json=body)), 60, 2)
    rule = MaskRule({0: 0, 1: 1, 255: 1})
    write_json(
        toolkit.storage.report(masked["id"]),
        {"problems": [], "problem_counts": {"error": 0, "warning": 0}, "masks": {"rule": rule.to_dict()}},
    )

    after, _ = cells(picture_of(client.post(ADDRESS, json=body)), 60, 2)

    assert before[20, 44].tolist() != [200] * 3 == after[20, 44].tolist()
    assert after[20, 30].tolist() == [230, 60, 50]


@pytest.mark.parametrize(
    ("change", "code", "field", "told"),
    [
        ({"text": "AugFlip p=2"}, 422, "text", "line 1, column 11: AugFlip: p must be from 0 to 1, not 2."),
        ({"text": "AugCenterCrop size=(99,99)"}, 422, "text", "AugCenterCrop cannot cut 99 x 99"),
        ({"dataset_id": 99}, 422, "dataset_id", "There is no dataset 99."),
        ({"dataset_id": None}, 400, "dataset_id", "exactly one way"),
        ({"image_index": 8}, 422, "image_index", "has no image 8; its 8 images are counted from 0."),
        ({"image_index": 2}, 422, "image_index", "The file '2.png' is not an image that can be read."),
        ({"image_index": 3}, 422, "image_index", "'3.png'"),
        ({"image_index": -1}, 422, "image_index", "A whole number from 0"),
        ({"count": 0}, 422, "count", "A whole number from 1"),
        ({"count": MOST_RESULTS + 1}, 422, "count", f"from 1 to {MOST_RESULTS}"),
        ({"size": 5000}, 422, "size", "from 32 to 512"),
        ({"seed": 2**32}, 422, "seed", "A whole number from 0"),
        ({"image": "x"}, 422, "image", "A file in a multipart form is expected."),
    ],
)
def test_a_fault_is_one_sentence_at_its_field(client, dataset, data_root, change, code, field, told):
    (data_root / "2.png").write_bytes(b"no image")
    (data_root / "3.png").unlink()

    answer = client.post(ADDRESS, json={"text": "AugFlip", "dataset_id": dataset["id"], **change})

    assert_error(answer, code, field)
    assert told in answer.json["message"], answer.json
    assert str(data_root) not in answer.get_data(as_text=True)


@pytest.mark.parametrize(
    ("pixels", "fields", "field", "told"),
    [
        (HALF, {"dataset_id": 1}, "image", "exactly one way"),
        (HALF, {"mask": (io.BytesIO(b"x"), "mask.png")}, "mask", "mask: The file 'mask.png' is not an image"),
        (HALF, {"mask": (content(HALF[:9]), "mask.png")}, "mask", "The mask has 60 x 9 pixels and its image 60 x 40;"),
        (HALF, {"image": (io.BytesIO(b""), "a.png")}, "image", "the file is empty"),
        (HALF, {"image": (io.BytesIO(b"x"), "a.png")}, "image", "image: The file 'a.png' is not an image"),
        (HALF, {"image": (io.BytesIO(b"x"), "scan.nii.gz")}, "image", "'scan.nii.gz'"),
        (HALF, {"image": (io.BytesIO(b"x"), "../../scan.svs#level=0")}, "image", "'scan.svs"),
    ],
)
def test_a_fault_of_an_upload_is_at_its_field(client, pixels, fields, field, told):
    answer = upload(client, "AugFlip", pixels, **fields)

    assert_error(answer, 422, field)
    assert told in answer.json["message"], answer.json
    assert "dht-preview" not in answer.get_data(as_text=True)


def test_a_text_that_takes_too_much_memory_is_refused(client):
    steps = "AugResizeDim dims=(6000,6000) AugGaussianBlur sigma=[1,1]"
    planes = np.zeros((4, 5, 16), np.uint8)  # blurred in double precision, of that size, they take 4.6 GB at once

    answer = upload(client, f"SequentialAugmentationContainer {steps} end", planes, "planes.npy", "NPY")

    assert_error(answer, 422, "text")
    assert "AugGaussianBlur cannot be applied to an image of 6000 x 6000 pixels" in answer.json["message"]


def test_while_others_are_drawn_a_preview_waits_for_another_time(client, dataset, toolkit):
    held = []
    with pytest.raises(Exception, match="works for others"):
        while True:
            held.append(toolkit.programs.take())
    answer = client.post(ADDRESS, json={"text": "AugFlip", "dataset_id": dataset["id"]})
    for give_back in held:
        give_back()

    assert_error(answer, 503)


def test_what_a_form_leaves_empty_is_left_out(client, dataset):
    empty = {"image": (io.BytesIO(), ""), "mask": (io.BytesIO(), ""), "seed": "", "size": ""}

    answer = client.post(ADDRESS, data={"text": "", "dataset_id": str(dataset["id"]), "count": "1", **empty})

    assert picture_of(answer).size == (2 * 198 + 6, 214 + 6)
