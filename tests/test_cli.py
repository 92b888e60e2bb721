import json
import subprocess
import sys

import pytest
from click.testing import CliRunner

from app.cli import main
from app.settings import CLONE_FOLDER


def test_help_names_every_command():
    answer = CliRunner().invoke(main, ["--help"])

    assert answer.exit_code == 0
    for command in ("init", "serve", "redis", "demo"):
        assert f"\n  {command} " in answer.output


def test_a_refusal_is_one_sentence(monkeypatch):
    monkeypatch.setenv("PORT", "http")

    answer = CliRunner().invoke(main, ["serve"])

    assert answer.exit_code == 1
    assert answer.output == "Error: PORT='http' cannot be used: a port number from 0 to 65535 is expected.\n"


def test_init_fills_the_storage_folder_and_a_second_time_changes_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "storage"))

    def records() -> dict[str, bytes]:
        return {path.name: path.read_bytes() for path in (tmp_path / "storage" / "db").glob("*.json")}

    assert CliRunner().invoke(main, ["init"]).exit_code == 0
    first = records()
    assert CliRunner().invoke(main, ["init"]).exit_code == 0

    assert "Classification" in json.dumps(json.loads(first["tasks.json"]))
    assert records() == first


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"]])
def test_help_loads_neither_torch_nor_flask(arguments):
    script = f"""
import sys
from app.cli import main
main({arguments!r}, standalone_mode=False)
assert not {{"torch", "flask", "cv2", "numpy"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=CLONE_FOLDER, check=True, capture_output=True)
