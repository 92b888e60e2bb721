import base64
import io
import json
import zlib

import pytest
from PIL import Image
from redis import Redis

from app.errors import Conflict, InvalidInput, QueueUnavailable
from app.files import write_json
from app.jobs.inference_start import start_inference, start_single_inference
from app.jobs.queue import JobQueue
from app.jobs.registration import register_dataset
from app.jobs.services import Services
from app.jobs.training_start import start_training
from app.runs.reader import read_config, read_state
from app.runs.state import QUEUED


@pytest.fixture
def dataset(services, data_root):
    return register_dataset(services, "Set", 1, str(data_root / "set.yml"))


@pytest.fixture
def masks(services, data_root):
    return register_dataset(services, "Masks", 2, str(data_root / "masks.yml"))


@pytest.fixture
def projects(services):
    add = services.database.projects.add
    return [add({"name": "P", "task_id": task, "modelweights_id": None, "inference_id": None}) for task in (1, 2)]


@pytest.fixture
def request_body(dataset, projects):
    return {"model_id": 1, "dataset_id": dataset["id"], "project_id": projects[0]["id"], "weights_id": None}


def properties(**values):
    return {"properties": [{"name": name, "value": value} for name, value in values.items()]}


def give_card(services, weights_id, process_id, **changes):
    config = read_config(services.storage.run(process_id))["training"]
    folder = services.storage.weights(weights_id)
    write_json(folder.card, {"config": config | changes, "epoch": 1})
    return services.database.weights.get(weights_id)


@pytest.fixture
def weights(services, request_body):
    answer = start_training(services, request_body)
    return give_card(services, answer["weight_id"], answer["process_id"])


def test_a_training_is_stored_queued_and_described(services, request_body, settings):
    answer = start_training(services, request_body | properties(Epochs="2"))

    run = services.storage.run(answer["process_id"])
    config = read_config(run)
    assert read_state(run).state == QUEUED
    assert config["description"] == f'train LeNet on Set (project "P", weights {answer["weight_id"]})'
    assert config["training"]["epochs"] == 2 and config["training"]["channels"] == 1
    assert services.queue.position("training", answer["process_id"]) == 1
    record = services.database.weights.get(answer["weight_id"])
    assert record["process_id"] == answer["process_id"]
    assert record["settings"]["3"] == "2" and record["settings"]["4"] == "64"
    assert services.database.projects.get(1)["modelweights_id"] == answer["weight_id"]


def test_the_queue_holds_the_process_id_and_nothing_else_that_could_run(services, request_body, redis_url):
    answer = start_training(services, request_body)

    with Redis.from_url(redis_url) as connection:
        job = connection.hgetall(f"rq:job:{answer['process_id']}")
    assert json.loads(zlib.decompress(job[b"data"])) == ["app.jobs.training.run", None, [answer["process_id"]], {}]
    assert job[b"description"].decode().startswith("train LeNet on Set")


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"model_id": 99}, "model_id", "There is no model 99"),
        ({"dataset_id": 99}, "dataset_id", "There is no dataset 99"),
        ({"project_id": 99}, "project_id", "There is no project 99"),
        ({"weights_id": 99}, "weights_id", "There is no weights"),
        ({"model_id": 2}, "dataset_id", "choose ones of the same task"),
        ({"project_id": 2}, "project_id", "choose ones of the same task"),
        (properties(Epochs="x"), "Epochs", "give a whole number"),
        (properties(Augmentations="AugRotate"), "Training augmentations", "angle"),
    ],
)
def test_a_refused_training_leaves_nothing_behind(services, stored, request_body, changes, field, words):
    before = stored()

    with pytest.raises(InvalidInput) as refused:
        start_training(services, request_body | changes)

    assert words in " ".join(refused.value.errors[field])
    assert stored() == before


def test_a_dataset_whose_copy_was_broken_is_refused_with_its_lines(services, dataset, request_body, stored):
    copy = services.storage.dataset(dataset["id"]) / "dataset.yml"
    copy.write_text("images: [0.png]\nsplitt: {}\n")

    with pytest.raises(InvalidInput, match="splitt") as refused:
        start_training(services, request_body)
    assert "dataset_id" in refused.value.errors


def test_a_dataset_without_a_training_split_is_refused(services, data_root, request_body):
    (data_root / "test_only.yml").write_text("classes: [a, b]\nimages: [0.png]\nsplit: {test: [0]}\n")
    dataset = register_dataset(services, "Test only", 1, str(data_root / "test_only.yml"))

    with pytest.raises(InvalidInput, match="training"):
        start_training(services, request_body | {"dataset_id": dataset["id"]})


def test_without_redis_nothing_is_left_behind(services, request_body, stored):
    cut_off = Services(services.settings, services.database, services.storage, JobQueue("redis://127.0.0.1:1/0"))
    before = stored()

    with pytest.raises(QueueUnavailable, match="Redis"):
        start_training(cut_off, request_body)

    assert stored() == before


def test_weights_of_another_model_are_no_start(services, request_body, weights):
    services.database.weights.update(weights["id"], model_id=2)

    with pytest.raises(InvalidInput, match="are of model 2, not of model 1"):
        start_training(services, request_body | {"weights_id": weights["id"]})


def test_fine_tuning_keeps_the_depth_that_the_weights_were_trained_on(services, request_body):
    first = start_training(services, request_body)
    give_card(services, first["weight_id"], first["process_id"], channels=3)

    second = start_training(services, request_body | {"weights_id": first["weight_id"]})

    assert read_config(services.storage.run(second["process_id"]))["training"]["channels"] == 3
    assert services.database.weights.get(second["weight_id"])["pretrained_on"] == first["weight_id"]


def test_test_augmentations_that_move_pixels_are_refused_for_masks_only(services, request_body, masks, projects):
    moving = properties(Test_augmentations="AugRotate angle=[-5,5]")
    start_training(services, request_body | moving)

    body = request_body | {"model_id": 2, "dataset_id": masks["id"], "project_id": projects[1]["id"]}
    with pytest.raises(InvalidInput, match="AugRotate moves pixels") as refused:
        start_training(services, body | moving)
    assert list(refused.value.errors) == ["Test augmentations"]
    start_training(services, body | properties(Test_augmentations="AugResizeDim dims=(64,64)"))


def test_an_inference_needs_images_to_test_on(services, data_root, weights, projects):
    (data_root / "no_test.yml").write_text(
        "classes: [a, b]\nimages: [{location: 0.png, label: a}]\nsplit: {training: [0]}\n"
    )
    dataset = register_dataset(services, "No test", 1, str(data_root / "no_test.yml"))

    with pytest.raises(InvalidInput, match="test"):
        start_inference(
            services, {"modelweights_id": weights["id"], "dataset_id": dataset["id"], "project_id": projects[0]["id"]}
        )


def png(size=(8, 8)) -> bytes:
    stream = io.BytesIO()
    Image.new("L", size).save(stream, "PNG")
    return stream.getvalue()


@pytest.mark.parametrize(
    ("image", "field", "words"),
    [
        ({}, "image_url", "in exactly one way"),
        ({"image_data": "AAAA", "image_file": b"x"}, "image_data", "in exactly one way"),
        ({"image_data": "data:image/png;base64,???"}, "image_data", "no base64"),
        ({"image_data": base64.b64encode(b"text").decode()}, "image_data", "not an image"),
        ({"image_file": b""}, "image", "not an image"),
        ({"image_file": png((20_000, 6_000))}, "image", "more than the limit"),
        ({"image_url": "ftp://host/x.png"}, "image_url", "http"),
        ({"image_url": "http://10.0.0.1/x.png"}, "image_url", "10.0.0.1"),
        ({"image_url": "file:///etc/passwd"}, "image_url", "http"),
    ],
)
def test_an_image_that_cannot_be_used_is_refused_and_leaves_nothing(
    services, stored, weights, projects, image, field, words
):
    before = stored()

    with pytest.raises(InvalidInput) as refused:
        start_single_inference(services, modelweights_id=weights["id"], project_id=projects[0]["id"], **image)

    assert words in " ".join(refused.value.errors[field])
    assert stored() == before


def test_weights_without_a_file_are_a_conflict(services, request_body, projects):
    answer = start_training(services, request_body)

    with pytest.raises(Conflict, match="no file yet"):
        start_single_inference(
            services, modelweights_id=answer["weight_id"], project_id=projects[0]["id"], image_file=png()
        )
