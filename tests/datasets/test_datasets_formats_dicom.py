"""DICOM files, those that pydicom ships and some made here, as 8-bit images."""

import zlib
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from mask_reading import read_mask

from app.datasets import images
from app.datasets.probe import ImageHeader, probe
from app.errors import InvalidInput, JobFailure

pydicom = pytest.importorskip("pydicom")

SHIPPED = Path(pydicom.__file__).parent / "data" / "test_files"
read_image = partial(images.read_image, max_pixels=1_000_000)


def grey(name, part=""):
    return read_image([SHIPPED / f"{name}{part}"], 1)[..., 0]


def colour(name, part=""):
    return read_image([SHIPPED / f"{name}{part}"], 3)


@pytest.fixture
def made(tmp_path):
    """Return a function that writes a DICOM file of these pixels and elements and returns its path."""

    def write(numbers, name="made.dcm", **elements):
        numbers = np.asarray(numbers)
        dataset = pydicom.Dataset()
        dataset.file_meta = pydicom.dataset.FileMetaDataset()
        dataset.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = pydicom.uid.CTImageStorage
        dataset.SOPInstanceUID = dataset.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
        dataset.Rows, dataset.Columns = numbers.shape[:2]
        dataset.SamplesPerPixel = 1
        dataset.PhotometricInterpretation = "MONOCHROME2"
        dataset.BitsAllocated = dataset.BitsStored = 8 * numbers.dtype.itemsize
        dataset.HighBit = dataset.BitsStored - 1
        dataset.PixelRepresentation = int(numbers.dtype.kind == "i")
        dataset.PixelData = numbers.tobytes() + b"\0" * (numbers.nbytes % 2)
        for keyword, value in elements.items():
            setattr(dataset, keyword, value)
        dataset.save_as(tmp_path / name, enforce_file_format=True)
        return tmp_path / name

    return write


@pytest.mark.parametrize(
    ("name", "header"),
    [
        ("CT_small.dcm", ImageHeader(128, 128, 1, 16)),
        ("examples_overlay.dcm", ImageHeader(484, 300, 1, 12)),
        ("examples_palette.dcm", ImageHeader(800, 350, 3, 8)),
        ("examples_ybr_color.dcm#frame=3", ImageHeader(320, 240, 3, 8)),
    ],
)
def test_header(name, header):
    assert probe(SHIPPED / name) == header


@pytest.mark.parametrize("name", ["RLE", "bigendian", "expb", "implicit", "jp2klossless", "jpeg_ls_lossless", "padded"])
def test_every_encoding_of_one_picture_gives_the_same_pixels(name):
    assert (grey(f"MR_small_{name}.dcm") == grey("MR_small.dcm")).all()


@pytest.mark.parametrize(
    "name", ["rle", "rle_16bit", "rle_32bit", "jpeg_gdcm", "gdcm_KY", "dcmtk_+eb+cr", "jpeg_dcmtk", "dcmtk_+eb+cy+s2"]
)
def test_colours_are_rgb_however_they_are_stored(name):
    """Stripes of the shipped picture, red at the top; lossy files are off by a little."""
    pixels = colour(f"SC_rgb_{name}.dcm")
    for row, expected in [(5, (255, 0, 0)), (25, (0, 255, 0)), (45, (0, 0, 255))]:
        assert np.abs(pixels[row, 50].astype(int) - expected).max() <= 2 or name.startswith(("dcmtk", "jpeg_dcmtk"))
    assert np.abs(pixels.astype(int) - colour("SC_rgb_rle.dcm")).mean() < 2


def test_window_of_the_file_is_applied():
    """Center 600 and width 1600: 600 - 0.5 is the middle, the ends lie 799.5 away from it."""
    numbers = pydicom.dcmread(SHIPPED / "MR_small.dcm").pixel_array.astype(float)
    expected = np.clip(((numbers - 599.5) / 1599 + 0.5) * 255, 0, 255)
    assert np.abs(grey("MR_small.dcm") - expected).max() <= 0.51


def test_without_a_window_the_range_is_stretched_after_the_rescaling(made):
    path = made(np.int16([[0, 50, 100]]), RescaleSlope=2, RescaleIntercept=-1000)
    assert read_image([path], 1).ravel().tolist() == [0, 128, 255]


def test_window_is_in_the_units_that_the_rescaling_gives(made):
    path = made(
        np.int16([[900, 1000, 1100]]), RescaleSlope=1, RescaleIntercept=-1000, WindowCenter=0.5, WindowWidth=101
    )
    assert read_image([path], 1).ravel().tolist() == [0, 128, 255]


def test_named_window_goes_before_that_of_the_file(made):
    path = made(np.int16([[0, 20, 100]]), WindowCenter=5, WindowWidth=2)
    assert read_image([path.with_name(f"{path.name}#low=0&high=100")], 1).ravel().tolist() == [0, 51, 255]


@pytest.mark.parametrize(("function", "middle"), [("LINEAR_EXACT", 191), ("SIGMOID", 186), ("LINEAR", 192)])
def test_functions_of_the_window(made, function, middle):
    path = made(np.uint16([[0, 150, 1000]]), WindowCenter=100, WindowWidth=200, VOILUTFunction=function)
    assert abs(int(read_image([path], 1)[0, 1, 0]) - {"SIGMOID": 255 / (1 + np.exp(-1))}.get(function, middle)) <= 0.5


def test_first_of_several_windows(made):
    path = made(np.uint16([[0, 100, 200]]), WindowCenter=[100.5, 5], WindowWidth=[201, 3])
    assert read_image([path], 1).ravel().tolist() == [0, 128, 255]


def test_monochrome1_is_inverted(made):
    path = made(np.uint8([[0, 100, 255]]), PhotometricInterpretation="MONOCHROME1")
    assert read_image([path], 1).ravel().tolist() == [255, 155, 0]


def test_eight_bits_stay(made):
    assert read_image([made(np.uint8([[7, 100, 200]]))], 1).ravel().tolist() == [7, 100, 200]


def test_padding_does_not_widen_the_range(made):
    path = made(np.int16([[-2000, 0, 50, 100]]), PixelPaddingValue=-2000)
    assert read_image([path], 1).ravel().tolist() == [0, 0, 128, 255]


def test_table_of_the_file_is_applied(made):
    table = pydicom.Dataset()
    table.LUTDescriptor = [3, 0, 16]
    table.LUTData = np.uint16([0, 65535, 256]).tobytes()
    path = made(np.uint16([[0, 1, 2, 9]]), VOILUTSequence=[table])
    assert read_image([path], 1).ravel().tolist() == [0, 255, 1, 1]


def test_settings_of_a_frame_lie_in_its_functional_group(made):
    groups = []
    for center in (100.5, 50.5):
        window, group = pydicom.Dataset(), pydicom.Dataset()
        window.WindowCenter, window.WindowWidth = center, 101
        group.FrameVOILUTSequence = [window]
        groups.append(group)
    numbers = np.uint16([[[0, 100, 150]], [[0, 50, 150]]])
    path = made(numbers[0], NumberOfFrames=2, PerFrameFunctionalGroupsSequence=groups, PixelData=numbers.tobytes())
    first, second = (read_image([path.with_name(f"{path.name}#frame={index}")], 1).ravel() for index in (0, 1))
    assert first.tolist() == [0, 128, 255]
    assert second.tolist() == [0, 128, 255]


def test_palette_becomes_colours():
    expected = pydicom.pixels.apply_color_lut(
        pydicom.dcmread(SHIPPED / "examples_palette.dcm").pixel_array, pydicom.dcmread(SHIPPED / "examples_palette.dcm")
    )
    assert expected.dtype == np.uint16
    assert (colour("examples_palette.dcm") == expected >> 8).all()


def test_frame_is_named():
    assert colour("examples_ybr_color.dcm", "#frame=0").shape == (240, 320, 3)
    assert (colour("examples_ybr_color.dcm", "#frame=0") != colour("examples_ybr_color.dcm", "#frame=29")).any()
    for part, sentence in [("", "has 30 frames; name one"), ("#frame=30", "has no frame 30: there are 30")]:
        with pytest.raises(JobFailure, match=sentence):
            colour("examples_ybr_color.dcm", part)
        with pytest.raises(InvalidInput, match=sentence):
            probe(SHIPPED / f"examples_ybr_color.dcm{part}")


def test_one_frame_of_a_large_file_is_read_alone(monkeypatch):
    from app.datasets.formats import dicom

    whole = grey("rtdose.dcm", "#frame=7")
    monkeypatch.setattr(dicom, "SMALL_BYTES", 0)
    assert (grey("rtdose.dcm", "#frame=7") == whole).all()
    assert grey("rtdose_rle.dcm", "#frame=7").shape == whole.shape


def test_file_without_meta_information_is_read(made):
    path = made(np.uint8([[7, 100, 200, 3]]))
    content = path.read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    path.write_bytes(content[start:])
    assert read_image([path], 1).ravel().tolist() == [7, 100, 200, 3]


def test_deflated_file_is_read_and_a_bomb_is_not(tmp_path, made):
    assert grey("image_dfl.dcm").shape == (512, 512)
    content = (SHIPPED / "image_dfl.dcm").read_bytes()
    start = 144 + int.from_bytes(content[140:144], "little")
    squeeze = zlib.compressobj(9, zlib.DEFLATED, -15)
    bomb = b"".join(squeeze.compress(bytes(1024**2)) for _ in range(300)) + squeeze.flush()
    (tmp_path / "bomb.dcm").write_bytes(content[:start] + bomb)
    with pytest.raises(JobFailure, match=r"bomb.dcm' is deflated and holds more than"):
        read_image([tmp_path / "bomb.dcm"], 1)


def test_segmentation_is_a_mask():
    mask = read_mask(SHIPPED / "liver_1frame.dcm", 1, max_pixels=1_000_000)
    assert set(np.unique(mask)) == {0, 1}
    assert mask.shape == (512, 512)


@pytest.mark.parametrize(
    ("name", "sentence"),
    [
        ("MR_truncated.dcm", "is damaged or no DICOM image that can be read: The number of bytes"),
        ("rtplan.dcm", "holds no image: it is RT Plan Storage."),
        ("no_meta.dcm", "holds no image: it is not of a kind that DICOM knows."),
        ("badVR.dcm", "is damaged"),
        ("JPGExtended.dcm", "12-bit"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "is compressed as"),
        ("none.dcm", "does not exist"),
    ],
)
def test_file_that_gives_no_image_is_named(name, sentence):
    with pytest.raises(JobFailure) as caught:
        read_image([SHIPPED / name], 1)
    assert name in caught.value.message
    assert sentence in caught.value.message
    assert caught.value.message.endswith(".") and "\n" not in caught.value.message


@pytest.mark.parametrize("content", [b"", b"just a text\n" * 40, b"\0" * 128 + b"DICM", b"\0" * 2000])
def test_what_is_no_dicom_is_named(tmp_path, content):
    (tmp_path / "a.dcm").write_bytes(content)
    with pytest.raises(JobFailure, match=r"a\.dcm'"):
        read_image([tmp_path / "a.dcm"], 1)


def test_size_is_judged_before_decoding(made):
    path = made(np.uint8([[1, 2]]), Rows=60_000, Columns=60_000)
    with pytest.raises(JobFailure, match="60000 x 60000 pixels, more than"):
        read_image([path], 1)


def test_size_of_the_compressed_picture_is_judged_too(tmp_path):
    dataset = pydicom.dcmread(SHIPPED / "MR_small_jp2klossless.dcm")
    dataset.Rows = 32
    dataset.save_as(tmp_path / "a.dcm")
    with pytest.raises(JobFailure, match="is compressed as 64 x 64 pixels, but is 64 x 32"):
        read_image([tmp_path / "a.dcm"], 1)
