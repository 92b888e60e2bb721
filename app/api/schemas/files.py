"""Files in multipart forms."""

from pathlib import PurePosixPath
from typing import Any

from flask_smorest.fields import Upload
from werkzeug.datastructures import FileStorage

from app.api.schemas.fields import NAME_CHARACTERS
from app.jobs.datasets.registration import UploadedFile


class NamedFile(Upload):
    """A file in a multipart form; the view gets its name and the file, which may be too large for memory."""

    default_error_messages = {"invalid": "A file in a multipart form is expected."}

    def _deserialize(self, value: Any, *args: Any, **kwargs: Any) -> UploadedFile:
        if not isinstance(value, FileStorage):
            raise self.make_error("invalid")
        return UploadedFile(file_name(value), value.stream)  # type: ignore[arg-type]


def file_name(file: FileStorage) -> str:
    """Return the last part of the name that a client gave a file, without what does not print."""
    name = PurePosixPath((file.filename or "").replace("\\", "/")).name
    return "".join(filter(str.isprintable, name))[:NAME_CHARACTERS] or "dataset"
