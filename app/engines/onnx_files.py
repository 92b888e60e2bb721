"""What every engine does with an ONNX file of its own: describe it, and see what another program makes of it."""

from collections.abc import Mapping

import numpy as np
import onnx
from onnx import ModelProto

from app.errors import JobFailure

PRODUCER = "deephealth-backend"
IMAGES, PROBABILITIES = "images", "probabilities"
LONGEST_REASON = 300


def describe(model: ModelProto, metadata: Mapping[str, str]) -> None:
    """Write into a model who made it and what it is."""
    model.producer_name = PRODUCER
    del model.metadata_props[:]
    onnx.helper.set_model_props(model, dict(metadata))


def run(path_or_content: str | bytes, images: np.ndarray) -> np.ndarray:
    """Return what onnxruntime makes of images `(N, C, H, W)`, as many at a time as the file takes.

    Raises:
        JobFailure: if it cannot compute the file.
    """
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # only errors
    try:
        session = onnxruntime.InferenceSession(path_or_content, options, providers=["CPUExecutionProvider"])
        image = session.get_inputs()[0]
        size = image.shape[0] if isinstance(image.shape[0], int) else len(images)
        padded = np.concatenate([images, np.repeat(images[:1], -len(images) % size, axis=0)])
        parts = [session.run(None, {image.name: part})[0] for part in np.split(padded, len(padded) // size)]
    except MemoryError:
        raise
    except Exception as error:  # those of onnxruntime have no class in common
        reason = " ".join(str(error).split())[:LONGEST_REASON].rstrip(".")
        raise JobFailure(f"onnxruntime cannot compute the network: {reason}.") from error
    return np.concatenate(parts)[: len(images)]
