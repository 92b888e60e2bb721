"""What a file is that somebody takes for an ONNX model, by its first bytes. No library is needed for this look."""

from app.errors import JobFailure

KINDS = (
    (b"PK\x03\x04", "a zip archive, such as PyTorch's own files of weights are"),
    (b"\x80", "a Python pickle, which is never opened"),
    (b"\x89HDF", "an HDF5 file, as Keras writes"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"ustar", "a tar archive"),
)
LONGEST_START = 8
# The keys of the fields of a model, as protobuf writes them; any of them may be the first.
FIRST_BYTES = frozenset(b"\x08\x12\x1a\x22\x28\x32\x3a\x42\x72\xa2\xca")
EXPORT_ADVICE = "export the network to ONNX first, for example by torch.onnx.export or tf2onnx"


def refuse_other_kinds(start: bytes) -> None:
    """Look at the first bytes of a file.

    Raises:
        JobFailure: one sentence that says what it is, or that it is no ONNX model.
    """
    for magic, kind in KINDS:
        if start.startswith(magic):
            raise JobFailure(f"The file is {kind}; {EXPORT_ADVICE}.")
    if not start or start[0] not in FIRST_BYTES:
        found = "begins otherwise" if start else "is empty"
        raise JobFailure(f"The file is no ONNX model: it {found}; {EXPORT_ADVICE}.")
