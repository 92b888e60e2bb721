import json
import threading

from app.access.audit_log import OLDER_FILES, AuditLog


def lines(folder):
    paths = sorted(folder.glob("audit.log*"))
    return [json.loads(line) for path in paths for line in path.read_text().splitlines()]


def test_ten_thousand_lines_of_several_writers_are_all_there_and_whole(tmp_path):
    log = AuditLog(tmp_path / "audit.log", file_bytes=200_000)

    def write(writer):
        for number in range(2500):
            log.write(who=f"writer {writer}", path="/backend/projects", status=201, id=number)

    writers = [threading.Thread(target=write, args=(writer,)) for writer in range(4)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()

    found = lines(tmp_path)
    assert len(found) == 10_000
    assert {(line["who"], line["id"]) for line in found} == {
        (f"writer {writer}", number) for writer in range(4) for number in range(2500)
    }
    assert 1 < len(list(tmp_path.glob("audit.log*"))) < OLDER_FILES


def test_old_files_go_and_the_newest_lines_stay(tmp_path):
    log = AuditLog(tmp_path / "audit.log", file_bytes=1)
    for number in range(OLDER_FILES + 5):
        log.write(id=number)

    assert sorted(line["id"] for line in lines(tmp_path)) == list(range(5, OLDER_FILES + 5))


def test_a_line_that_a_full_disk_has_cut_costs_no_other(tmp_path):
    log = AuditLog(tmp_path / "audit.log")
    log.write(id=1)
    log.path.write_text(log.path.read_text() + '{"time": "2026-0')
    log.write(id=2)
    log.write(id=3)

    first, _cut, *others = log.path.read_text().splitlines()
    assert [json.loads(line)["id"] for line in (first, *others)] == [1, 2, 3]


def test_what_a_client_sends_breaks_no_line_and_steers_no_terminal(tmp_path):
    AuditLog(tmp_path / "audit.log").write(path="/x\n\x1b[31m\udcff\u202e" + "y" * 10_000)

    text = (tmp_path / "audit.log").read_text()
    assert text.count("\n") == 1 and text.isascii() and text[:-1].isprintable() and len(text) < 1000
