"""Archives that a user sends: unpacked whole, or refused with the member's name and nothing outside the folder."""

import gzip
import io
import random
import stat
import tarfile
import zipfile

import pytest

from app.datasets.sources.archives import GZIP, TAR, ZIP, Limits, extract, kind_of
from app.errors import InvalidInput, StorageUnavailable, TooLarge

LIMITS = Limits(most_bytes=64 * 1024**2, most_files=1000, most_ratio=100)
UNSAFE_NAMES = [
    ("/etc/evil", "absolute"),
    ("//host/share", "absolute"),
    ("C:/evil", "absolute"),
    ("C:evil", "absolute"),
    ("\\evil", "absolute"),
    ("../evil", r"leads out"),
    ("a/../../evil", "leads out"),
    ("..\\..\\evil", "leads out"),
    ("a/..", "leads out"),
    ("line\nbreak", "control"),
    ("x" * 300, "more than 255"),
    ("d/" * 600 + "x", "more than 1024"),
]


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "target").mkdir()
    return tmp_path / "target"


def zipped(members, **options):
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members:
            archive.writestr(name, content)
    return file


def tarred(members, mode="w"):
    """Return a tar of pairs of a name, or a whole header, and content."""
    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode=mode, format=tarfile.PAX_FORMAT) as archive:
        for name, content in members:
            header = name if isinstance(name, tarfile.TarInfo) else tarfile.TarInfo(name)
            header.size = len(content)
            archive.addfile(header, io.BytesIO(content))
    return file


def special(name, kind, target=""):
    header = tarfile.TarInfo(name)
    header.type, header.linkname = kind, target
    return header


def contents(folder):
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


MEMBERS = [("set.yml", b"images: []"), ("images/ä 1.png", b"\x89PNG"), ("empty", b"")]


@pytest.mark.parametrize(
    ("file", "kind"),
    [(zipped(MEMBERS), ZIP), (tarred(MEMBERS), TAR), (tarred(MEMBERS, "w:gz"), GZIP)],
    ids=[ZIP, TAR, GZIP],
)
def test_each_kind_is_known_by_its_content_and_unpacked(folder, file, kind):
    assert kind_of(file) == kind
    extract(file, kind, folder, LIMITS)
    assert contents(folder) == dict(MEMBERS)


def test_what_is_no_archive_is_told_from_what_is_of_another_kind():
    assert kind_of(io.BytesIO(b"name: Moles\n")) is None
    assert kind_of(io.BytesIO(b"")) is None
    for content, name in ((b"Rar!\x1a\x07", "rar"), (b"7z\xbc\xaf\x27\x1c", "7z"), (b"\xfd7zXZ\0", "xz")):
        with pytest.raises(InvalidInput, match=f"a {name} archive; a zip"):
            kind_of(io.BytesIO(content))


@pytest.mark.parametrize(("name", "fault"), UNSAFE_NAMES, ids=[repr(name[:12]) for name, _ in UNSAFE_NAMES])
@pytest.mark.parametrize("make", [zipped, tarred])
def test_members_that_leave_the_folder_or_have_no_possible_name(folder, make, name, fault):
    file = make([("good.png", b"1"), (name, b"2")])
    with pytest.raises(InvalidInput, match=fault) as refused:
        extract(file, kind_of(file), folder, LIMITS)
    assert repr(name[:12])[1:-1] in refused.value.message
    assert contents(folder) == {} and list(folder.parent.iterdir()) == [folder]


@pytest.mark.parametrize(
    ("kind", "target"),
    [
        (tarfile.SYMTYPE, "/etc/passwd"),
        (tarfile.SYMTYPE, "good.png"),
        (tarfile.LNKTYPE, "good.png"),
        (tarfile.CHRTYPE, ""),
        (tarfile.BLKTYPE, ""),
        (tarfile.FIFOTYPE, ""),
    ],
)
def test_links_and_devices_in_a_tar(folder, kind, target):
    file = tarred([("good.png", b"1"), (special("strange", kind, target), b"")])
    with pytest.raises(InvalidInput, match="'strange' of the archive is a link"):
        extract(file, TAR, folder, LIMITS)
    assert contents(folder) == {}


@pytest.mark.parametrize("mode", [stat.S_IFLNK, stat.S_IFCHR, stat.S_IFIFO])
def test_links_and_devices_in_a_zip(folder, mode):
    entry = zipfile.ZipInfo("strange")
    entry.external_attr = (mode | 0o777) << 16
    with pytest.raises(InvalidInput, match="'strange' of the archive is a link"):
        extract(zipped([(entry, "/etc/passwd")]), ZIP, folder, LIMITS)
    assert contents(folder) == {}


@pytest.mark.parametrize("others", [("A/b.png", "a/B.png"), ("a.png", "a.png"), ("é.png", "e\u0301.png"), ("a", "./a")])
def test_names_that_are_one_file_on_many_systems(folder, others):
    with pytest.raises(InvalidInput, match="one file"):
        extract(tarred([(name, b"1") for name in others]), TAR, folder, LIMITS)


def test_a_file_in_a_file(folder):
    with pytest.raises(InvalidInput, match="'a/b' of the archive lies in 'a'"):
        extract(tarred([("a/b", b"1"), ("a", b"1")]), TAR, folder, LIMITS)


@pytest.mark.parametrize("make", [zipped, lambda members: tarred(members, "w:gz")], ids=[ZIP, GZIP])
def test_bombs_by_ratio_and_by_size(folder, make):
    zeros = make([(f"{index}.png", bytes(8 * 1024**2)) for index in range(4)])
    with pytest.raises(TooLarge, match=r"100 times its own size.*MAX_ARCHIVE_RATIO"):
        extract(zeros, kind_of(zeros), folder, LIMITS)
    noise = make([("noise.png", random.Random(1).randbytes(200_000))])
    with pytest.raises(TooLarge, match="100,000 bytes"):
        extract(noise, kind_of(noise), folder, Limits(100_000, 10, 100))
    assert contents(folder) == {}


def test_a_size_that_lies_is_counted_while_it_is_written(folder):
    honest = zipped([("a.png", bytes(30 * 1024**2))]).getvalue()
    lying = honest.replace((30 * 1024**2).to_bytes(4, "little"), (10).to_bytes(4, "little"))
    assert lying != honest
    with pytest.raises((InvalidInput, TooLarge)):
        extract(io.BytesIO(lying), ZIP, folder, LIMITS)
    assert sum(map(len, contents(folder).values())) <= 1024**2


def test_too_many_members(folder):
    for file in (zipped([(f"{index}", b"") for index in range(1001)]), tarred([(str(n), b"") for n in range(1001)])):
        with pytest.raises(TooLarge, match="1,000 members"):
            extract(file, kind_of(file), folder, LIMITS)
    assert contents(folder) == {}


def test_a_hundred_thousand_members_stop_at_the_directory(folder):
    file = zipped([(f"some/longer/folder/{index:06}", b"") for index in range(100_000)])
    with pytest.raises(TooLarge):
        extract(file, ZIP, folder, LIMITS)


def test_a_header_that_would_fill_the_memory(folder):
    header = tarfile.TarInfo("pax")
    header.type, header.size = tarfile.XHDTYPE, 5 * 1024**3
    huge = io.BytesIO(header.tobuf(tarfile.USTAR_FORMAT) + bytes(1024))
    with pytest.raises(TooLarge, match="header takes"):
        extract(huge, TAR, folder, LIMITS)


@pytest.mark.parametrize("make", [zipped, tarred, lambda members: tarred(members, "w:gz")], ids=[ZIP, TAR, GZIP])
@pytest.mark.parametrize("kept", [0.3, 0.7])
def test_a_truncated_archive(folder, make, kept):
    noise = random.Random(1)
    content = make([(f"{index}.png", noise.randbytes(40_000)) for index in range(3)]).getvalue()
    file = io.BytesIO(content[: int(len(content) * kept)])
    with pytest.raises(InvalidInput, match="damaged or cut off"):
        extract(file, kind_of(file), folder, LIMITS)


def test_content_that_does_not_fit_its_checksum(folder):
    content = zipped([("a.png", random.Random(1).randbytes(1000))]).getvalue()
    broken = content[:200] + bytes(50) + content[250:]
    with pytest.raises(InvalidInput, match=r"'a\.png' of the archive is damaged"):
        extract(io.BytesIO(broken), ZIP, folder, LIMITS)


def test_an_encrypted_zip(folder):
    content = bytearray(zipped([("secret.png", b"1234")]).getvalue())
    content[6] |= 1  # the flag in the member's own header, and in the directory
    content[content.index(b"PK\x01\x02") + 8] |= 1
    with pytest.raises(InvalidInput, match=r"'secret\.png' of the archive is encrypted"):
        extract(io.BytesIO(bytes(content)), ZIP, folder, LIMITS)


def test_archives_inside_stay_packed_and_what_systems_add_is_left_out(folder):
    inner = zipped([("../evil", b"1")]).getvalue()
    members = [("inner.zip", inner), ("__MACOSX/._a.png", b"1"), ("x/.DS_Store", b"1"), ("Thumbs.db", b"1")]
    extract(zipped(members), ZIP, folder, LIMITS)
    assert contents(folder) == {"inner.zip": inner}


def test_gzip_that_holds_no_tar(folder):
    with pytest.raises(InvalidInput, match="damaged"):
        extract(io.BytesIO(gzip.compress(b"name: Moles\n" * 100)), GZIP, folder, LIMITS)


def test_a_bomb_of_gzip_alone(folder):
    with pytest.raises(TooLarge, match=r"100 times its own size.*MAX_ARCHIVE_RATIO"):
        extract(io.BytesIO(gzip.compress(bytes(32 * 1024**2))), GZIP, folder, LIMITS)


def test_a_tar_with_a_broken_header_in_the_middle(folder):
    content = bytearray(tarred([(f"{index}.png", bytes(512)) for index in range(4)]).getvalue())
    content[2048:2100] = b"x" * 52
    with pytest.raises(InvalidInput, match="no member at byte 2,048"):
        extract(io.BytesIO(bytes(content)), TAR, folder, LIMITS)


def test_a_file_with_holes(folder):
    with pytest.raises(InvalidInput, match="a file with holes"):
        extract(tarred([(special("sparse", tarfile.GNUTYPE_SPARSE), b"")]), TAR, folder, LIMITS)


def test_a_name_with_a_nul(folder):
    content = zipped([("a_b.png", b"1234")]).getvalue().replace(b"a_b.png", b"a\0b.png")
    with pytest.raises(InvalidInput, match="control characters"):
        extract(io.BytesIO(content), ZIP, folder, LIMITS)


@pytest.mark.parametrize(
    ("size", "fault"), [(b"\x80" + b"\xff" * 11, "damaged or cut off"), (b"\xff" * 12, "size is negative")]
)
def test_sizes_that_no_file_has(folder, size, fault):
    header = bytearray(tarfile.TarInfo("a.png").tobuf())
    header[124:136], header[148:156] = size, b" " * 8
    header[148:156] = b"%06o\0 " % sum(header)
    with pytest.raises(InvalidInput, match=fault):
        extract(io.BytesIO(bytes(header) + bytes(2048)), TAR, folder, LIMITS)


def test_a_map_of_holes_that_is_none(folder):
    header = tarfile.TarInfo("a.png")
    header.pax_headers = {"GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "a.png"}
    with pytest.raises(InvalidInput, match="damaged or cut off"):
        extract(tarred([(header, b"no numbers\n")]), TAR, folder, LIMITS)


@pytest.mark.parametrize("make", [zipped, lambda members: tarred(members, "w:gz")], ids=[ZIP, GZIP])
def test_a_folder_that_cannot_be_written(folder, make):
    file = make([("a/0.png", b"1234")])
    folder.rmdir()
    folder.write_bytes(b"")
    with pytest.raises(StorageUnavailable, match="cannot be written"):
        extract(file, kind_of(file), folder, LIMITS)
