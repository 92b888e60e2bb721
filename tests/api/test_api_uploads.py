"""Uploads that do not come whole, or for which the disk has no room."""

import io
import tempfile
from contextlib import suppress
from pathlib import Path

import pytest
from api_sandbox import assert_error

from app.api.uploads import UploadRequest
from app.errors import MalformedRequest

START = b'--x\r\nContent-Disposition: form-data; name="file"; filename="a.zip"\r\n\r\n' + bytes(2 * 1024**2)
FORM = "multipart/form-data; boundary=x"


class LostConnection(io.BytesIO):
    """Gives what it holds, and then fails as a socket does whose other end is gone."""

    def read(self, *sizes):
        if content := super().read(*sizes):
            return content
        raise ConnectionResetError


@pytest.fixture
def open_files(monkeypatch, tmp_path):
    """Count the temporary files that this process has open; nobody but the test makes some in their folder."""
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))

    def count():
        found = 0
        for link in Path("/proc/self/fd").iterdir():
            with suppress(FileNotFoundError):  # another thread's, which has just been closed
                found += str(link.readlink()).startswith(f"{tmp_path}/")
        return found

    return count


def test_a_disk_without_room_is_told(client, monkeypatch, tmp_path):
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "absent"))
    answer = client.post("/backend/datasets", data=START, content_type=FORM)
    assert_error(answer, 503)
    assert str(tmp_path / "absent") in answer.json["message"]


def test_a_file_that_was_cut_off_takes_no_room_once_the_request_has_ended(open_files):
    environment = {"REQUEST_METHOD": "POST", "CONTENT_TYPE": FORM, "CONTENT_LENGTH": str(10**8)}
    request = UploadRequest({**environment, "wsgi.input": LostConnection(START)})
    with pytest.raises(MalformedRequest, match="to its end"):
        _ = request.files
    assert open_files() == 1
    request.close()
    assert open_files() == 0
