import base64
import io
import json
import socket
import zlib
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from PIL import Image
from redis import Redis
from waiting import PATIENCE_SECONDS

from app.engines import ENGINES, why_not_installed
from app.errors import (
    Busy,
    Conflict,
    InvalidInput,
    MalformedRequest,
    QueueUnavailable,
    StorageDamaged,
    StorageFull,
)
from app.files import write_json
from app.jobs.datasets.registration import register_dataset
from app.jobs.inference.start import start_inference, start_single_inference
from app.jobs.processes.following import stop
from app.jobs.processes.submission import submit
from app.jobs.queue import CHECK, JobQueue
from app.jobs.removal.deletion import delete_weights
from app.jobs.request_checks import check_channels
from app.jobs.training.start import start_training
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


def test_the_engine_is_that_of_the_setting_unless_the_property_names_one(services, request_body, monkeypatch):
    monkeypatch.setattr("app.jobs.request_checks.why_not_installed", lambda name: None)
    with_eddl = replace(services, settings=replace(services.settings, engine="eddl"))

    def engine_of(services, **values):
        answer = start_training(services, request_body | properties(**values))
        return read_config(services.storage.run(answer["process_id"]))["training"]["engine"]

    assert engine_of(services) == "torch" and engine_of(services, Engine="EDDL") == "eddl"
    assert engine_of(with_eddl) == engine_of(with_eddl, Engine="Auto") == "eddl"
    assert engine_of(with_eddl, Engine="Torch") == "torch"


def test_an_engine_that_is_not_there_or_cannot_do_it_leaves_nothing_behind(services, request_body, monkeypatch, stored):
    before = stored()
    monkeypatch.setitem(ENGINES, "eddl", replace(ENGINES["eddl"], packages=("no_such_package",)))
    with pytest.raises(InvalidInput, match="EDDL needs no_such_package") as refused:
        start_training(services, request_body | properties(Engine="EDDL"))
    assert list(refused.value.errors) == ["Engine"]

    monkeypatch.setitem(ENGINES, "eddl", replace(ENGINES["eddl"], packages=()))
    with pytest.raises(InvalidInput) as refused:
        start_training(services, request_body | properties(Engine="EDDL", Precision="Mixed", Devices="2CPUs"))
    assert list(refused.value.errors) == ["Precision", "Devices"]
    assert stored() == before


def test_weights_of_an_engine_that_is_not_there_are_refused_for_inference(services, dataset, projects, weights):
    give_card(services, weights["id"], weights["process_id"], engine="eddl")
    request = {"modelweights_id": weights["id"], "dataset_id": dataset["id"], "project_id": projects[0]["id"]}
    if why_not_installed("eddl") is None:
        assert start_inference(services, request)["result"] == "ok"
        return
    with pytest.raises(InvalidInput, match="needs pyeddl and pyecvl") as refused:
        start_inference(services, request)
    assert list(refused.value.errors) == ["modelweights_id"]


def test_balanced_class_weights_are_in_the_config(services, data_root, request_body):
    (data_root / "rare.yml").write_text(
        "classes: [a, b]\nimages:\n" + "".join(f"  - {{location: {index}.png, label: {label}}}\n"
        for index, label in enumerate("abbb")) + "split: {training: [0, 1, 2, 3]}\n"
    )  # fmt: skip
    dataset = register_dataset(services, "Rare", 1, str(data_root / "rare.yml"))

    answer = start_training(
        services, request_body | {"dataset_id": dataset["id"]} | properties(Class_weights="Balanced")
    )

    config = read_config(services.storage.run(answer["process_id"]))["training"]
    assert config["loss_weights"] == pytest.approx([2, 2 / 3])


def test_the_queue_holds_the_process_id_and_nothing_else_that_could_run(services, request_body, redis_url):
    answer = start_training(services, request_body)

    with Redis.from_url(redis_url) as connection:
        job = connection.hgetall(f"rq:job:{answer['process_id']}")
    assert json.loads(zlib.decompress(job[b"data"])) == ["app.jobs.training.job.run", None, [answer["process_id"]], {}]
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
        (properties(Freeze_epochs=1), "Freeze epochs", "nothing to freeze"),
        (properties(Early_stopping_patience=2), "Early stopping patience", "no labelled validation split"),
        (properties(Devices="TPU"), "Devices", "choose one of Auto, CPU, GPU"),
        (properties(**{"Warm-up epochs": 50}), "Warm-up epochs", "leave none with the full rate"),
        (properties(Augmentations="AugRotate"), "Training augmentations", "angle"),
    ],
)
def test_a_refused_training_leaves_nothing_behind(services, stored, request_body, changes, field, words):
    before = stored()

    with pytest.raises(InvalidInput) as refused:
        start_training(services, request_body | changes)

    assert words in " ".join(refused.value.errors[field])
    assert stored() == before


def test_a_dataset_whose_copy_was_broken_is_refused_with_its_file_and_line(services, dataset, request_body, stored):
    copy = services.storage.dataset(dataset["id"]) / "dataset.yml"
    copy.write_text("images: [0.png]\nsplitt: {}\n")
    before = stored()

    with pytest.raises(StorageDamaged, match=rf"{copy} is no description of a dataset any more \(line 2.*splitt"):
        start_training(services, request_body)
    assert stored() == before


def test_what_was_stored_is_taken_back_though_the_disk_is_full(services, dataset, stored):
    before = stored()

    def store(process_id):
        raise StorageFull("no room")

    def undo(process_id):
        if services.storage.reserve.exists():
            raise StorageFull("no room")

    with pytest.raises(StorageFull):
        submit(services, {"type": CHECK, "description": "check", "dataset": dataset}, store, undo)

    assert stored() == before, "no mark and no run folder is left"
    assert services.storage.reserve.exists()


def test_a_dataset_without_a_training_split_is_refused(services, data_root, request_body):
    (data_root / "test_only.yml").write_text("classes: [a, b]\nimages: [0.png]\nsplit: {test: [0]}\n")
    dataset = register_dataset(services, "Test only", 1, str(data_root / "test_only.yml"))

    with pytest.raises(InvalidInput, match="training"):
        start_training(services, request_body | {"dataset_id": dataset["id"]})


def test_without_redis_nothing_is_left_behind(services, request_body, stored):
    cut_off = replace(services, queue=JobQueue("redis://127.0.0.1:1/0"))
    before = stored()

    with pytest.raises(QueueUnavailable, match="Redis"):
        start_training(cut_off, request_body)

    assert stored() == before


def test_fine_tuning_takes_the_input_size_of_the_weights(services, request_body):
    first = start_training(services, request_body | properties(Input_height="40", Input_width="36"))
    give_card(services, first["weight_id"], first["process_id"])
    again = request_body | {"weights_id": first["weight_id"]}

    second = start_training(services, again)
    config = read_config(services.storage.run(second["process_id"]))["training"]
    assert (config["input_height"], config["input_width"]) == (40, 36)
    start_training(services, again | properties(Input_height="40"))

    with pytest.raises(InvalidInput, match="40 x 36 pixels") as refused:
        start_training(services, again | properties(Input_height="28"))
    assert list(refused.value.errors) == ["Input height"]


@pytest.mark.parametrize(("sent", "shown"), [(" 1 ", "1"), (1.0, "1"), ("1e0", "1"), ("+1", "1")])
def test_whole_numbers_are_shown_as_they_were_used(services, request_body, sent, shown):
    answer = start_training(services, request_body | properties(Epochs=sent))

    assert services.database.weights.get(answer["weight_id"])["settings"]["3"] == shown


def test_what_an_accepted_inference_needs_is_not_deleted_under_it(services, weights, request_body, projects):
    body = {"modelweights_id": weights["id"], "dataset_id": request_body["dataset_id"], "project_id": projects[0]["id"]}
    stop(services, weights["process_id"])

    def attempt(number):
        try:
            if number == 3:
                return delete_weights(services, weights["id"])
            return start_inference(services, body)["process_id"]
        except (Conflict, InvalidInput):
            return None

    with ThreadPoolExecutor(8) as executor:
        results = list(executor.map(attempt, range(8)))

    accepted = [result for result in results if result]
    exists = bool(services.database.weights.find(id=weights["id"]))
    assert exists if accepted else not exists


def test_only_a_few_downloads_run_at_once(services):
    patient = replace(services, settings=replace(services.settings, url_timeout_seconds=int(PATIENCE_SECONDS)))
    most = services.settings.web_threads // 4
    with socket.create_server(("127.0.0.1", 0)) as silent, ThreadPoolExecutor(most) as executor:
        silent.settimeout(PATIENCE_SECONDS)
        url = f"http://127.0.0.1:{silent.getsockname()[1]}/x.png"
        running = [executor.submit(patient.fetch, url, 1000) for _ in range(most)]
        connections = [silent.accept()[0] for _ in running]  # each waits for its answer by now
        with pytest.raises(Busy):
            patient.fetch(url, 1000)
        for connection in connections:
            connection.close()

    assert {type(future.exception()) for future in running} == {InvalidInput}
    with pytest.raises(InvalidInput):
        patient.fetch("http://127.0.0.1:1/x", 1000)


@pytest.fixture
def full_redis(redis_url):
    """Make the queue's Redis answer, and refuse to store anything."""
    with Redis.from_url(redis_url) as connection:
        connection.config_set("maxmemory", 1)
        yield
        connection.config_set("maxmemory", 0)


def test_a_job_that_the_queue_does_not_take_is_taken_back_whole(services, request_body, weights, stored, full_redis):
    before = stored()
    inference = {key: request_body[key] for key in ("dataset_id", "project_id")} | {"modelweights_id": weights["id"]}

    with pytest.raises(QueueUnavailable):
        start_training(services, request_body)
    with pytest.raises(QueueUnavailable):
        start_inference(services, inference)

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
        ({"image_data": "AAAA", "image_file": b"x"}, "image_data", "in exactly one way"),
        ({"image_data": "data:image/png;base64,???"}, "image_data", "no base64"),
        ({"image_data": base64.b64encode(b"text").decode()}, "image_data", "not an image"),
        ({"image_file": b""}, "image", "the file is empty"),
        ({"image_file": b"%!PS-Adobe-3.0 EPSF-3.0"}, "image", "not an image"),
        ({"image_file": png((20_000, 6_000))}, "image", "the setting MAX_IMAGE_PIXELS); send a smaller image."),
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


def test_weights_whose_training_failed_are_not_waited_for(services, request_body, projects):
    answer = start_training(services, request_body)
    stop(services, answer["process_id"])

    with pytest.raises(Conflict, match="could save any; resume it, or choose other weights"):
        start_training(services, request_body | {"weights_id": answer["weight_id"]})


def test_grey_and_colour_become_each_other_and_other_planes_do_not():
    for channels, trained in ((1, 3), (3, 1), (5, 5)):
        check_channels(channels, trained, "dataset_id")
    for channels, trained in ((5, 3), (2, 1), (3, 5)):
        with pytest.raises(InvalidInput, match=f"choose weights that were trained on images of {channels}") as refused:
            check_channels(channels, trained, "dataset_id")
        assert list(refused.value.errors) == ["dataset_id"]


def test_no_image_at_all_is_a_malformed_request(services, weights, projects):
    with pytest.raises(MalformedRequest, match="in exactly one way"):
        start_single_inference(services, modelweights_id=weights["id"], project_id=projects[0]["id"])


def test_weights_without_a_file_are_a_conflict(services, request_body, projects):
    answer = start_training(services, request_body)

    with pytest.raises(Conflict, match="no file yet"):
        start_single_inference(
            services, modelweights_id=answer["weight_id"], project_id=projects[0]["id"], image_file=png()
        )


@pytest.fixture
def several(services, data_root):
    text = (data_root / "set.yml").read_text().replace("0.png, label: a", "0.png, label: [a, b]")
    (data_root / "several.yml").write_text(text)
    return register_dataset(services, "Several", 1, str(data_root / "several.yml"))


def test_images_of_several_classes_are_trained_without_being_asked_for(services, request_body, several):
    answer = start_training(services, request_body | {"dataset_id": several["id"]})

    config = read_config(services.storage.run(answer["process_id"]))["training"]
    assert several["is_multi_label"] and config["is_multi_label"]
    assert (config["loss"], config["metric"]) == ("binary_cross_entropy", "binary_accuracy")
    assert services.database.weights.get(answer["weight_id"])["settings"]["2"] == "BinaryCrossEntropy"


@pytest.mark.parametrize(("name", "value"), [("Loss_function", "CrossEntropy"), ("Metric", "accuracy")])
def test_choices_for_one_class_an_image_are_refused_for_several(services, request_body, several, stored, name, value):
    before = stored()

    with pytest.raises(InvalidInput, match="does not fit images that have any number of classes each; choose one of"):
        start_training(services, request_body | {"dataset_id": several["id"]} | properties(**{name: value}))

    assert stored() == before


def test_choices_for_several_classes_are_refused_for_one(services, request_body):
    with pytest.raises(InvalidInput, match="does not fit this classification model"):
        start_training(services, request_body | properties(Metric="BinaryAccuracy"))
