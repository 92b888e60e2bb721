"""What holds for every path: slashes, methods, errors, bodies, origins."""

import contextlib
import io
import json
import os
import socket
import subprocess
import sys
import urllib.request

import pytest
from api_sandbox import ABSENT_PROCESS, ERROR_KEYS, ORIGIN, UNREACHABLE_REDIS, assert_error
from waiting import PATIENCE_SECONDS, wait_until

from app import create_app
from app.api.server.refusals import write_refusal
from app.launcher import free_port
from app.settings import CLONE_FOLDER, Settings

FORM = "application/x-www-form-urlencoded"
GET_PATHS = [
    "/backend/tasks",
    "/backend/tasks/1",
    "/backend/models",
    "/backend/properties/1",
    "/backend/allowedProperties?model_id=1&property_id=1",
    "/backend/datasets",
    "/backend/projects",
    "/backend/weights?model_id=1",
    "/backend/trainingSettings?modelweights_id=1",
]


@pytest.mark.parametrize("address", GET_PATHS)
def test_answers_alike_with_and_without_slash_and_to_head(client, address):
    path, _, query = address.partition("?")
    plain, slashed = client.get(address), client.get(f"{path}/?{query}")
    assert plain.status_code == slashed.status_code == 200
    assert plain.data == slashed.data
    head = client.head(address)
    assert head.status_code == 200 and not head.data and head.headers["Content-Length"] == str(len(plain.data))


@pytest.mark.parametrize(
    ("path", "methods"),
    [
        ("/backend/tasks", {"GET", "HEAD", "OPTIONS"}),
        ("/backend/projects/", {"GET", "HEAD", "OPTIONS", "POST", "PUT"}),
        ("/backend/projects/1", {"GET", "HEAD", "OPTIONS", "PUT", "DELETE"}),
        ("/backend/datasets/1/", {"GET", "HEAD", "OPTIONS", "DELETE"}),
        ("/backend/weights", {"GET", "HEAD", "OPTIONS", "POST", "PUT"}),
        ("/backend/train", {"POST", "OPTIONS"}),
        ("/backend/stopProcess", {"POST", "OPTIONS"}),
        ("/backend/output", {"GET", "HEAD", "OPTIONS"}),
    ],
)
def test_allow_lists_what_works(client, path, methods):
    options, wrong = client.options(path), client.patch(path)
    assert options.status_code == 200 and options.allow.as_set(preserve_casing=True) == methods
    assert "Content-Type" not in options.headers
    assert_error(wrong, 405)
    assert wrong.allow.as_set(preserve_casing=True) == methods


@pytest.mark.parametrize(
    "path",
    [
        "/backend",
        "/backend/nothing",
        "/backend//projects",
        "/backend/projects/x",
        "/backend/projects/-1",
        "/backend/projects/1.0",
        f"/backend/projects/{10**30}",
        "/backend/projects/" + "9" * 5000,
        "/backend/projects/0",
        "/backend/projects/%00",
    ],
)
def test_what_is_not_there_is_404(client, path):
    assert_error(client.get(path), 404)


def test_created_is_spelled_as_clients_compare_it(client):
    answer = client.post("/backend/projects", json={"name": "a", "task_id": 1})
    assert answer.status == "201 Created"
    assert client.get("/backend/projects").status == "200 OK"


@pytest.mark.parametrize(
    "body", ["", "{", "[]", "null", "3", '"text"', '{"name": NaN}', '{"name": "\\ud800"}', "[" * 5000, b"\xff"]
)
def test_a_body_that_is_no_json_object_is_malformed(client, body):
    assert_error(client.post("/backend/projects", data=body, content_type="application/json"), 400)


@pytest.mark.parametrize("content_type", ["text/plain", "application/xml", "text/html; charset=utf-8"])
def test_other_media_types_are_refused(client, content_type):
    answer = client.post("/backend/projects", data='{"name": "a", "task_id": 1}', content_type=content_type)
    assert_error(answer, 415)
    assert client.get("/backend/projects").json == []


def test_json_needs_no_exact_media_type(client):
    body = '{"name": "a", "task_id": 1}'
    for content_type in ("application/json; charset=utf-8", "application/vnd.lab+json"):
        assert client.post("/backend/projects", data=body, content_type=content_type).status_code == 201


def test_every_fault_is_named_with_its_place(client):
    body = {"name": " ", "task_id": True, "colour": "red"}
    assert_error(client.post("/backend/projects", json=body), 422, "name", "task_id", "colour")
    assert_error(client.post("/backend/projects", json={}), 400, "name", "task_id")
    body = {"project_id": 1, "model_id": 1, "dataset_id": 1, "properties": [{"name": "Epochs", "value": {}}]}
    assert_error(client.post("/backend/train", json=body), 422, "properties.0.value")


@pytest.mark.parametrize("name", ["", "  ", "a\0b", "two\nlines", "x" * 201, "\u2028", 7, None, ["a"], {"a": 1}])
def test_names_that_cannot_be_used(client, name):
    assert_error(client.post("/backend/projects", json={"name": name, "task_id": 1}), 422, "name")
    assert client.get("/backend/projects").json == []


def test_names_of_every_language_and_the_longest_one(client):
    for name in ("Łódź Krankenhaus 病院 🫀", "x" * 200):
        assert client.post("/backend/projects", json={"name": name, "task_id": 1}).json["name"] == name


@pytest.mark.parametrize(
    "task_id",
    ["true", "1.5", '"x"', '""', "0", "-1", "1" + 30 * "0", f'"{"9" * 5000}"', "[1]", "null", "1.0e30"],
)
def test_ids_that_cannot_be_used(client, task_id):
    body = f'{{"name": "a", "task_id": {task_id}}}'
    assert_error(client.post("/backend/projects", data=body, content_type="application/json"), 422, "task_id")


@pytest.mark.parametrize("task_id", ["2", "2.0", 2.0])
def test_ids_in_other_spellings_are_read(client, task_id):
    assert client.post("/backend/projects", json={"name": "a", "task_id": task_id}).json["task_id"] == 2
    assert client.get("/backend/projects/1?page=1.0").json["task_id"] == 2


@pytest.mark.parametrize("page", ["0", "-1", "x", "1.5", str(10**30), "9" * 5000])
def test_pages_that_cannot_be_used(client, page):
    assert_error(client.get("/backend/tasks", query_string={"page": page}), 422, "page")


def test_pages_are_cut_from_the_list_and_say_where_they_lie(client):
    whole = client.get("/backend/properties")
    assert "X-Pagination" not in whole.headers
    page = client.get("/backend/properties?page=2&page_size=5")
    assert page.json == whole.json[5:10]
    total = len(whole.json)
    assert f'"total": {total}' in page.headers["X-Pagination"] and '"next_page": 3' in page.headers["X-Pagination"]
    assert client.get("/backend/properties?page_size=1").json == whole.json[:1]
    assert client.get("/backend/properties?page=1").json == whole.json
    assert client.get("/backend/properties?page=999").json == []


def test_unknown_query_parameters_are_ignored(client):
    assert client.get("/backend/tasks?colour=red&_=1").status_code == 200


def test_a_body_over_the_limit_is_refused(settings):
    small = create_app(Settings(**{**vars(settings), "max_body_bytes": 1000}))
    answer = small.test_client().post("/backend/projects", json={"name": "x" * 2000, "task_id": 1})
    assert_error(answer, 413)
    assert "1000 bytes" in answer.json["message"]


def test_a_body_over_the_limit_that_does_not_tell_its_length_is_refused(settings):
    client = create_app(Settings(**{**vars(settings), "max_body_bytes": 1000})).test_client()
    for content_type, body in (("application/json", b" " * 2000), (FORM, b"task_id=1&name=" + b"x" * 2000)):
        stream = io.BytesIO(body)
        answer = client.post(
            "/backend/projects",
            input_stream=stream,
            content_type=content_type,
            headers={"Transfer-Encoding": "chunked"},
            environ_overrides={"wsgi.input_terminated": True},
        )
        assert_error(answer, 413)
        answer.close()  # what a server does when the answer is sent
        assert stream.tell() == len(body)


def test_what_gunicorn_refuses_is_the_one_error_answer():
    ours, theirs = socket.socketpair()
    with ours, theirs:
        write_refusal(theirs, 414, "URI Too Long", "Request Line is too large (9030 > 8190)")
        head, _, content = ours.recv(10_000).partition(b"\r\n\r\n")
    assert head.startswith(b"HTTP/1.1 414 URI Too Long\r\n") and b"application/json" in head
    assert f"Content-Length: {len(content)}".encode() in head
    assert list(json.loads(content)) == ERROR_KEYS


def test_allowed_origins_may_read_answers_errors_and_preflights(client):
    headers = {"Origin": ORIGIN}
    for answer in (
        client.get("/backend/tasks", headers=headers),
        client.get("/backend/projects/99", headers=headers),
        client.get("/nothing", headers=headers),
        client.post("/backend/projects", data="{", content_type="application/json", headers=headers),
        client.options("/backend/projects", headers=headers | {"Access-Control-Request-Method": "PUT"}),
    ):
        assert answer.access_control_allow_origin == ORIGIN
        assert {"Location", "X-Pagination"} <= answer.access_control_expose_headers.as_set(preserve_casing=True)
        assert "Origin" in answer.vary
    assert "PUT" in answer.access_control_allow_methods and "Content-Type" in answer.access_control_allow_headers


def test_a_preflight_of_an_unknown_path_passes_so_that_the_page_is_told_of_the_404(client):
    headers = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}

    answer = client.options("/backend/processImage", headers=headers)

    assert answer.status == "204 No Content" and answer.data == b""
    assert answer.access_control_allow_origin == ORIGIN and "POST" in answer.access_control_allow_methods
    assert client.options("/backend/processImage").status_code == 404
    assert client.post("/backend/processImage", headers={"Origin": ORIGIN}).status_code == 404


def test_other_origins_may_not(client):
    answer = client.get("/backend/tasks", headers={"Origin": "http://elsewhere.example"})
    assert answer.access_control_allow_origin is None and "Origin" in answer.vary


def test_a_fault_of_our_own_is_an_error_answer_without_traceback(app):
    app.add_url_rule("/backend/broken", view_func=lambda: 1 / 0)
    answer = app.test_client().get("/backend/broken", headers={"Origin": ORIGIN})
    assert_error(answer, 500)
    assert "Division" not in answer.get_data(as_text=True) and "Traceback" not in answer.get_data(as_text=True)
    assert answer.access_control_allow_origin == ORIGIN


def test_nobody_guesses_types(client):
    assert client.get("/backend/tasks").headers["X-Content-Type-Options"] == "nosniff"


def test_without_redis_reading_works_and_starting_is_503_and_leaves_nothing(settings, data_root):
    alone = create_app(Settings(**{**vars(settings), "redis_url": UNREACHABLE_REDIS})).test_client()
    project = alone.post("/backend/projects", json={"name": "a", "task_id": 1}).json
    dataset = alone.post(
        "/backend/datasets", json={"name": "a", "task_id": 1, "path": str(data_root / "tiny.yml")}
    ).json
    body = {"project_id": project["id"], "model_id": 1, "dataset_id": dataset["id"], "properties": []}
    assert_error(alone.post("/backend/train", json=body), 503)
    assert alone.get(f"/backend/projects/{project['id']}").json == project
    assert (
        list((settings.storage_dir / "weights").glob("[!.]*")) == list((settings.storage_dir / "runs").iterdir()) == []
    )
    assert_error(alone.get(f"/backend/status?process_id={ABSENT_PROCESS}"), 404)


@pytest.fixture
def address(settings, tmp_path):
    """A real gunicorn over the same settings: what is cut off or malformed never gets through a test client."""
    variables = {
        "PORT": str(free_port("127.0.0.1", 0)),
        "STORAGE_DIR": str(settings.storage_dir),
        "REDIS_URL": settings.redis_url,
    }
    command = [sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py", "wsgi:app"]
    with subprocess.Popen(command, cwd=CLONE_FOLDER, env=os.environ | variables, stderr=subprocess.DEVNULL) as server:
        place = ("127.0.0.1", int(variables["PORT"]))
        wait_until(lambda: listens(place) or server.poll() is not None)
        assert server.poll() is None
        yield place
        server.terminate()


def listens(place):
    with contextlib.suppress(OSError), socket.create_connection(place):
        return True
    return False


@pytest.mark.parametrize(
    "request_bytes",
    [
        b"Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 99\r\n\r\nname=abc&task_id=1",
        b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\nZZZ\r\n",
        b'Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n5\r\n{"na',
    ],
)
def test_a_body_that_is_cut_off_or_malformed_is_refused_and_not_acted_on(address, request_bytes):
    with socket.create_connection(address, PATIENCE_SECONDS) as connection:
        connection.sendall(
            b"POST /backend/projects HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" + request_bytes
        )
        connection.shutdown(socket.SHUT_WR)
        answer = b"".join(iter(lambda: connection.recv(65536), b""))

    assert answer.startswith(b"HTTP/1.1 400 Bad Request"), answer
    with urllib.request.urlopen(f"http://{address[0]}:{address[1]}/backend/projects") as projects:
        assert json.load(projects) == []


def test_answers_are_neither_kept_nor_run_nor_framed_nor_told_of(client, dataset):
    for path in ("/backend/projects", "/backend/projects/99", "/backend/nothing", "/backend/models?task_id=1"):
        headers = client.get(path).headers
        assert headers["Cache-Control"] == "no-store"
        assert "default-src 'none'" in headers["Content-Security-Policy"]
        assert "frame-ancestors 'none'" in headers["Content-Security-Policy"]
        assert headers["Referrer-Policy"] == "no-referrer" and headers["X-Content-Type-Options"] == "nosniff"
    page = client.get("/backend/docs").headers
    assert "default-src 'self'" in page["Content-Security-Policy"] and page["Referrer-Policy"] == "no-referrer"
    thumbnail = client.get(f"/backend/datasets/{dataset['id']}/images/0/thumbnail")
    assert thumbnail.status_code == 200
    assert thumbnail.cache_control.private and not thumbnail.cache_control.public
