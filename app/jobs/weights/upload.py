"""Weights of other origin enter the service: an ONNX file, checked by a program of its own, becomes their folder."""

import shutil
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import urlsplit

from app.engines.torch_engine.onnx_kinds import LONGEST_START, refuse_other_kinds
from app.errors import InvalidInput, TooLarge
from app.files import sync_disk, unavailable
from app.jobs.datasets.registration import UploadedFile
from app.jobs.drafts import draft_folder, give_place
from app.jobs.removal.going import taken_back_unless_stored
from app.jobs.request_checks import fault_of, referenced
from app.jobs.services import Services
from app.jobs.weights.order import IMPORT, run_order
from app.runs.layout import WeightsFolder

LARGEST_MODEL_BYTES = 2 * 1024**3 - 1  # what a protobuf message can hold
CHUNK_BYTES = 1024**2
CHANNELS = {"GRAY": 1, "RGB": 3}
ENGINE = "torch"


def upload_weights(services: Services, request: Mapping) -> dict:
    """Check an ONNX file and make weights of it; return their record.

    Args:
        services: the opened service.
        request: `name`, `model_id`, `place` (a URL or an uploaded file), and what the file does not say: `classes`,
            `colour_type`, `input_height`, `input_width`, `is_multi_label`, `largest_value`, `mean`, `std`,
            `channel_order`, `layer_to_remove`.

    Raises:
        InvalidInput: with one sentence why the file cannot be used; nothing is stored then.
        TooLarge: for a file over the limits.
        Busy: while other files are read.
        StorageUnavailable: when the storage folder cannot be written, as on a full disk.
    """
    model = referenced(services.database.models, request, "model_id")
    task = services.database.tasks.get(model["task_id"])["name"].lower()
    place = request["place"]
    field = "url" if isinstance(place, str) else "file"
    origin = _origin(place)
    created_at = datetime.now(UTC).isoformat(timespec="seconds")
    with draft_folder(services.storage.weights_drafts) as draft:
        file = draft / "upload.onnx"
        _receive(services, place, file)
        with fault_of(field), file.open("rb") as stream:
            refuse_other_kinds(stream.read(LONGEST_START))
        order = {
            "kind": IMPORT,
            "engine": ENGINE,
            "folder": str(draft),
            "file": str(file),
            "wanted": _wanted(request, task),
            "facts": {"created_at": created_at, "uploaded_as": origin},
        }
        found = run_order(services, order)
        if "error" in found:
            raise InvalidInput(found["error"], found.get("errors") or {field: [found["error"]]})
        file.unlink()
        entry = {"name": request["name"], "model_id": model["id"], "task_id": model["task_id"]}
        return _store(services, draft, entry | {"created_at": created_at, "upload": {"origin": origin, **found}})


def _origin(place: str | UploadedFile) -> str:
    """Return what a person knows the file by; the query of a URL may hold secrets."""
    return urlsplit(place)._replace(query="", fragment="").geturl() if isinstance(place, str) else place.name


def _wanted(request: Mapping, task: str) -> dict:
    """Return the fields of `app.training.engine.Wanted`."""
    same = ("classes", "input_height", "input_width", "is_multi_label", "largest_value", "mean", "std")
    wanted = {name: request[name] for name in (*same, "layer_to_remove") if request.get(name) is not None}
    wanted["task"] = task
    wanted["is_blue_first"] = request.get("channel_order") == "BGR"
    if request.get("colour_type") is not None:
        wanted["channels"] = CHANNELS[request["colour_type"]]
    return wanted


def _receive(services: Services, place: str | UploadedFile, path: Path) -> None:
    """Write the file to the disk."""
    limit = min(services.settings.max_upload_bytes, LARGEST_MODEL_BYTES)
    try:
        with path.open("xb") as target:
            if isinstance(place, str):
                with fault_of("url"):
                    services.fetch_into(target, place, limit)
            else:
                shutil.copyfileobj(place.stream, target, CHUNK_BYTES)
    except OSError as error:
        raise unavailable(path.parent, "written", error) from error
    if path.stat().st_size > LARGEST_MODEL_BYTES:
        raise TooLarge(f"The file has more than {LARGEST_MODEL_BYTES:,} bytes, the most that an ONNX file can hold.")


def _store(services: Services, draft: Path, entry: Mapping) -> dict:
    """Turn the draft into the folder of new weights, and record them."""
    weights = services.database.weights
    weights_id = weights.reserve_id()
    folder = services.storage.weights(weights_id)
    WeightsFolder(draft).log.write_text(_log(entry), encoding="utf-8")
    sync_disk(draft)  # what is acknowledged is not to be lost by a power cut
    record = {
        "id": weights_id,
        "dataset_id": None,
        "pretrained_on": None,
        "process_id": None,
        "settings": {},
        "logfile": str(folder.log),
        **entry,
    }
    try:
        with services.database.holding_references():
            referenced(services.database.models, entry, "model_id")
            with taken_back_unless_stored(services, "weights", weights_id, folder.path):
                give_place(draft, folder.path)
                return weights.add(record)
    except OSError as error:
        raise unavailable(folder.path, "written", error) from error


def _log(entry: Mapping) -> str:
    upload = entry["upload"]
    lines = [f"Uploaded: {upload['origin']}", *upload["notes"]]
    lines.append(f"{upload['parameter_count']:,} parameters; the last layer is {upload['last_layer'] or 'not known'}")
    return "".join(f"{entry['created_at']}  {line}\n" for line in lines)
