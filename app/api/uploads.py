"""Uploaded files on their way in: spooled to the disk while they come, and gone with their request."""

import tempfile
from contextlib import suppress
from pathlib import Path
from typing import IO, Any

from flask import Request
from werkzeug.exceptions import ClientDisconnected

from app.errors import MalformedRequest
from app.files import unavailable


class UploadRequest(Request):
    """A request that closes every file it began to receive.

    Werkzeug closes those that came whole; one that was cut off, or for which the disk had no room, would keep its room
    for as long as the exception is remembered.
    """

    def __init__(self, *arguments: Any, **keywords: Any):
        super().__init__(*arguments, **keywords)
        self._begun: list[IO[bytes]] = []

    def _get_file_stream(self, *arguments: Any, **keywords: Any) -> IO[bytes]:
        stream = super()._get_file_stream(*arguments, **keywords)
        self._begun.append(stream)
        return stream

    def _load_form_data(self) -> None:
        try:
            super()._load_form_data()
        except ClientDisconnected as error:
            raise MalformedRequest("The form could not be read to its end; send the request again.") from error
        except OSError as error:  # the disk's: those of the connection are Werkzeug's ClientDisconnected
            raise unavailable(Path(tempfile.gettempdir()), "written", error) from error

    def close(self) -> None:
        """Close the files; Flask calls this when the request has been answered."""
        super().close()
        for stream in self._begun:
            with suppress(OSError):  # what waits to be written may not find room; it is closed all the same
                stream.close()
