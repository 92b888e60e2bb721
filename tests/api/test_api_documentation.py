"""The OpenAPI document and the page that shows it, both without any server but ours."""

import re

import pytest
from api_sandbox import ERROR_KEYS

METHODS = ("get", "post", "put", "delete")


@pytest.fixture
def document(client):
    return client.get("/backend/openapi.json/").json


def operations(document):
    return [
        (path, method, entry[method])
        for path, entry in document["paths"].items()
        for method in METHODS
        if method in entry
    ]


def test_every_route_is_documented(app, document):
    routes = {
        (re.sub(r"<(?:\w+:)?(\w+)>", r"{\1}", rule.rule), method.lower())
        for rule in app.url_map.iter_rules()
        for method in rule.methods - {"HEAD", "OPTIONS"}
        if rule.rule.startswith("/backend/") and not rule.rule.endswith(("/docs", "/openapi.json"))
    }
    assert {(path, method) for path, method, _ in operations(document)} == routes


def test_every_operation_is_described_with_examples(document):
    ids = [entry["operationId"] for _, _, entry in operations(document)]
    assert len(ids) == len(set(ids)) == len(operations(document))
    for path, method, entry in operations(document):
        assert entry["summary"].endswith(".") and entry["description"] and entry["tags"], (path, method)
        assert "503" in entry["responses"] and "default" not in entry["responses"], (path, method)
        [success] = [code for code in entry["responses"] if code.startswith("2") and code != "206"]
        content = entry["responses"][success].get("content", {}).get("application/json")
        assert content is None or "example" in content or "examples" in content, (path, method)
        body = entry.get("requestBody", {}).get("content", {})
        assert not body or ("example" in body["application/json"] and "application/x-www-form-urlencoded" in body)


def test_error_answers_have_examples(document):
    for response in document["components"]["responses"].values():
        assert list(response["content"]["application/json"]["example"]) == ERROR_KEYS


def test_the_page_loads_everything_from_the_service(client):
    assert client.get("/").location == "/backend/docs"
    page = client.get("/backend/docs")
    assert page.status_code == 200 and "default-src 'self'" in page.headers["Content-Security-Policy"]
    addresses = re.findall(r'(?:src|href|data-description-url)="([^"]+)"', page.text)
    assert "/backend/openapi.json" in addresses and len(addresses) >= 6
    for address in addresses:
        assert address == "data:," or (address.startswith("/") and client.get(address).status_code == 200), address
