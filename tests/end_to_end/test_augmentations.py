"""Write, check and look at an augmentation text over HTTP, as a GUI does."""

import io

from PIL import Image


def test_a_text_from_the_catalogue_is_checked_and_shown(client, discs):
    catalogue = client.get("/augmentations")
    [rotate] = [entry for entry in catalogue if entry["name"] == "AugRotate"]
    status, refused = client.send("POST", "/augmentations/check", {"text": rotate["example"] + " angel=3"})
    assert status == 422
    assert refused["problems"]["text"][0]["excerpt"].endswith("^")

    checked = client.post("/augmentations/check", {"text": rotate["example"]})
    assert checked["moves_pixels"] == ["AugRotate"]
    wanted = {"text": checked["text"], "dataset_id": discs["id"], "image_index": 3, "count": 5}
    status, content = client.send("POST", "/augmentations/preview", wanted)

    assert status == 200, content
    with Image.open(io.BytesIO(content)) as sheet:
        assert sheet.format == "PNG" and sheet.size == (3 * 198 + 6, 2 * 214 + 6)
    assert client.send("POST", "/augmentations/preview", wanted) == (200, content)
    status, refused = client.send("POST", "/augmentations/preview", {**wanted, "image_index": 10})
    assert status == 422 and "its 10 images are counted from 0" in refused["message"]


def test_an_uploaded_image_is_shown(client):
    buffer = io.BytesIO()
    Image.new("RGB", (50, 30), "teal").save(buffer, "JPEG")
    form = {"text": "AugTranspose p=1", "count": "1", "image": ("my photo.jpg", buffer.getvalue())}

    status, content = client.send("POST", "/augmentations/preview", fields=form)

    assert status == 200, content
    with Image.open(io.BytesIO(content)) as sheet:
        assert sheet.size == (2 * 198 + 6, 214 + 6)
