"""No file takes the process down or eats its memory: bombs and damaged files of every kind, with little memory."""

from pathlib import Path

import numpy as np
import pytest
import tifffile
from forked import CONTEXT
from little_memory import read_all
from PIL import Image

nibabel = pytest.importorskip("nibabel")
pydicom = pytest.importorskip("pydicom")
SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"


def read_with_little_memory(path, part="", damages=0, megabytes=256):
    """Read a file and damaged copies of it in a process of its own; return how often something was told of it."""
    ours, theirs = CONTEXT.Pipe(duplex=False)
    with ours, theirs:
        process = CONTEXT.Process(target=read_all, args=(theirs, path, part, damages, megabytes))
        process.start()
        theirs.close()
        process.join(120)
        assert process.exitcode == 0, "it ended by a signal, or by what the captured lines show"
        return ours.recv()


def huge_dicom(path):
    dataset = pydicom.dcmread(SHIPPED / "MR_small.dcm")
    dataset.Rows = dataset.Columns = 60_000
    dataset.save_as(path)


def huge_nifti(path):
    nibabel.save(nibabel.Nifti1Image(np.zeros((4, 4, 4), np.uint8), np.eye(4)), path)
    content = bytearray(path.read_bytes())
    content[42:48] = np.int16([32_000, 32_000, 3]).tobytes()
    path.write_bytes(content)


def huge_tiff(path):
    tifffile.imwrite(path, np.zeros((16, 16), np.uint8))
    content = path.read_bytes()
    for tag in (256, 257):
        at = content.index(np.uint16([tag]).tobytes())
        kind = content[at + 2]
        size = np.uint32([60_000]).tobytes() if kind == 4 else np.uint16([60_000, 0]).tobytes()
        content = content[: at + 8] + size + content[at + 12 :]
    path.write_bytes(content)


def huge_png(path):
    Image.new("1", (20_000, 20_000)).save(path)


def huge_webp(path):
    Image.new("L", (8_000, 8_000)).save(path, quality=1, method=0)


@pytest.mark.parametrize(
    ("name", "part", "write"),
    [
        ("huge.dcm", "", huge_dicom),
        ("huge.nii", "#slice=1", huge_nifti),
        ("huge.nii", "#slice=1&axis=0", huge_nifti),
        ("huge.tif", "", huge_tiff),
        ("huge.tif", "#level=0", huge_tiff),
        ("huge.png", "", huge_png),
        ("huge.webp", "", huge_webp),
    ],
)
def test_huge_image_is_refused_without_decoding_it(tmp_path, name, part, write):
    write(tmp_path / name)
    assert read_with_little_memory(tmp_path / name, part) >= 2


def picture(path, **options):
    pixels = np.random.default_rng(1).integers(0, 256, (48, 64, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path, **options)


def copy_of(name):
    return lambda path: path.write_bytes((SHIPPED / name).read_bytes())


def volume(path):
    nibabel.save(nibabel.Nifti1Image(np.arange(4096, dtype=np.int16).reshape(16, 16, 16), np.eye(4)), path)


def pyramid(path):
    pixels = np.random.default_rng(1).integers(0, 256, (256, 256, 3), dtype=np.uint8)
    with tifffile.TiffWriter(path) as file:
        file.write(pixels, tile=(64, 64), photometric="rgb")
        file.write(pixels[::2, ::2], tile=(64, 64), photometric="rgb", subfiletype=1)


def pages(path):
    tifffile.imwrite(path, np.arange(480, dtype=np.uint16).reshape(3, 10, 16), photometric="minisblack")


@pytest.mark.parametrize(
    ("name", "part", "write"),
    [
        ("a.png", "", picture),
        ("a.jpg", "", picture),
        ("a.bmp", "", picture),
        ("a.webp", "", picture),
        ("a.tif", "", lambda path: picture(path, compression="tiff_lzw")),
        ("a.tif", "", lambda path: picture(path, compression="jpeg")),
        ("pages.tif", "", pages),
        ("numbers.tif", "", lambda path: tifffile.imwrite(path, np.zeros((40, 50)), tile=(16, 16), compression="zlib")),
        ("numbers.tif", "", lambda path: tifffile.imwrite(path, np.zeros((40, 50)), byteorder=">", bigtiff=True)),
        ("pages.tif", "#page=1", pages),
        ("a.tif", "#level=1", pyramid),
        ("a.svs", "#level=1", pyramid),
        ("a.nii", "#slice=3", volume),
        ("a.nii.gz", "#slice=3", volume),
        ("a.dcm", "", copy_of("MR_small.dcm")),
        ("a.dcm", "", copy_of("MR_small_RLE.dcm")),
        ("a.dcm", "", copy_of("MR_small_jp2klossless.dcm")),
        ("a.dcm", "", copy_of("MR_small_jpeg_ls_lossless.dcm")),
        ("a.dcm", "", copy_of("SC_rgb_jpeg_gdcm.dcm")),
        ("a.dcm", "", copy_of("SC_rgb_jpeg_dcmtk.dcm")),
        ("a.dcm", "#frame=1", copy_of("SC_rgb_rle_2frame.dcm")),
    ],
)
def test_damaged_file_is_read_or_named(tmp_path, name, part, write):
    write(tmp_path / name)
    assert read_with_little_memory(tmp_path / name, part, damages=60) > 0
