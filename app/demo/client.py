"""A REST client of the service, as anybody could write it."""

import json
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.parse import urlencode
from urllib.request import ProxyHandler, Request, build_opener

from app.errors import JobFailure

ANSWER_SECONDS = 60


class Client:
    """Ask the service below one root URL; an answer that is no success becomes a JobFailure with its sentence."""

    def __init__(self, root_url: str):
        self._base_url = f"{root_url}/backend"
        self._opener = build_opener(ProxyHandler({}))  # the service is on this machine: no proxy leads there

    def get(self, path: str, /, **query: Any) -> Any:
        """Return the JSON that a GET answers."""
        return json.loads(self.read(self.url(path) + (f"?{urlencode(query)}" if query else "")))

    def post(self, path: str, /, **body: Any) -> Any:
        """Return the JSON that a POST of these fields answers."""
        request = Request(
            self.url(path),
            data=json.dumps(body).encode(),
            headers={"Content-Type": "application/json"},
            method="POST",
        )
        return json.loads(self.read(request))

    def url(self, path: str) -> str:
        """Return the address of a path."""
        return self._base_url + path

    def read(self, request: Request | str) -> bytes:
        """Return the bytes of any answer."""
        url = request if isinstance(request, str) else request.full_url
        try:
            with self._opener.open(request, timeout=ANSWER_SECONDS) as answer:
                return answer.read()
        except HTTPError as error:
            raise JobFailure(f"{url} answered {error.code}: {_sentence(error.read())}") from error
        except (URLError, OSError) as error:
            raise JobFailure(f"{url} does not answer ({error}).") from error


def _sentence(content: bytes) -> str:
    try:
        return json.loads(content)["message"]
    except (ValueError, KeyError, TypeError):
        return content[:200].decode("utf-8", "replace")
