import json
import subprocess
import sys

import nibabel
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

from app.cli import main
from app.settings import CLONE_FOLDER


def test_help_names_every_command():
    answer = CliRunner().invoke(main, ["--help"])

    assert answer.exit_code == 0
    names = ["init", "serve", "redis", "demo", "check-dataset", "check-augmentation", "apply-augmentation"]
    for command in (*names, "verify-storage", "backup", "restore"):
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


def test_tokens_are_made_listed_and_revoked(tmp_path, monkeypatch):
    monkeypatch.setenv("STORAGE_DIR", str(tmp_path / "storage"))

    def run(*arguments: str):
        return CliRunner().invoke(main, ["token", *arguments])

    token, other = run("create", "anna"), run("create", "ben", "--days", "7")
    assert token.exit_code == other.exit_code == 0
    assert token.stdout.strip().startswith("dht_") and len(token.stdout.split()) == 1  # so that $(...) takes it alone
    listed = run("list").output
    assert "anna" in listed and "never expires" in listed and "ben" in listed and token.stdout.strip() not in listed
    again = run("create", "anna")
    assert again.exit_code == 1 and again.output.startswith("Error: There is a token 'anna' already")
    assert run("revoke", "anna").output == "Revoked anna.\n" and "anna" not in run("list").output
    assert run("revoke", "anna").output.startswith("Error: There is no token 'anna'")
    assert "No token is left" in run("revoke", "ben").output
    audited = (tmp_path / "storage" / "audit.log").read_text()
    assert audited.count("dht token") == 4 and "anna" in audited and token.stdout.strip() not in audited


@pytest.mark.parametrize("arguments", [["--help"], ["serve", "--help"], ["token", "--help"]])
def test_help_loads_neither_torch_nor_flask(arguments):
    script = f"""
import sys
from app.cli import main
main({arguments!r}, standalone_mode=False)
assert not {{"torch", "flask", "cv2", "numpy"}} & set(sys.modules), sorted(sys.modules)
"""
    subprocess.run([sys.executable, "-c", script], cwd=CLONE_FOLDER, check=True, capture_output=True)


@pytest.fixture
def described(tmp_path):
    """Return a function that writes a description of `0.png` to `3.png`, which are there, and of more."""
    for index in range(4):
        noise = np.random.default_rng(index).integers(0, 256, (8, 8))
        Image.fromarray(noise.astype(np.uint8)).save(tmp_path / f"{index}.png")

    def write(*more: str) -> str:
        names = [*(f"{index}.png" for index in range(4)), *more]
        images = "".join(f"  - {{location: {name}, label: {'ab'[index % 2]}}}\n" for index, name in enumerate(names))
        splits = f"split: {{training: [0, 1], validation: [2, 3], test: {list(range(4, len(names)))}}}\n"
        (tmp_path / "set.yml").write_text(f"classes: [a, b]\nimages:\n{images}{splits if more else ''}")
        return str(tmp_path / "set.yml")

    return write


def test_a_sound_dataset_is_shown_with_a_table_and_bars(described, tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "4.png")

    answer = CliRunner().invoke(main, ["check-dataset", described("4.png")])

    assert answer.exit_code == 0, answer.output
    assert "5 images for classification" in answer.output and "█" in answer.output
    assert "AugNormalize mean=" in " ".join(answer.output.split())
    assert answer.output.endswith("0 errors, 0 warnings\n")


def test_a_faulty_dataset_ends_with_1_and_names_each_file(described, tmp_path):
    (tmp_path / "broken.png").write_text("no image")
    (tmp_path / "copy.png").write_bytes((tmp_path / "1.png").read_bytes())

    answer = CliRunner().invoke(main, ["check-dataset", described("broken.png", "copy.png", "absent.png")])

    assert answer.exit_code == 1
    for line in ("broken.png' ", "'copy.png' (test) is the same image as '1.png'", "'absent.png' does not exist."):
        assert line in answer.output
    assert answer.output.endswith("3 errors, 0 warnings\n")


def test_the_report_is_printed_as_json(described):
    answer = CliRunner().invoke(main, ["check-dataset", "--json", described()])

    assert answer.exit_code == 0
    report = json.loads(answer.stdout)
    assert report["sample_count"] == 4 and [problem["kind"] for problem in report["problems"]] == ["no_split"]


def test_a_description_that_cannot_be_read_shows_every_fault(tmp_path):
    (tmp_path / "set.yml").write_text("classes: [a, b]\nimages:\n  - {location: 0.png, label: q}\n  - {place: 1.png}\n")

    answer = CliRunner().invoke(main, ["check-dataset", str(tmp_path / "set.yml")])

    assert answer.exit_code == 1
    assert "line 3" in answer.output and "line 4" in answer.output and "errors" in answer.output


def test_names_do_not_reach_the_terminal_as_commands(tmp_path):
    Image.fromarray(np.eye(8, dtype=np.uint8)).save(tmp_path / "0.png")
    sly = r'"\e]0;x\a[red]"'
    text = f"classes: [{sly}, b]\nimages: [{{location: 0.png, label: b}}]\nsplit: {{{sly}: [0]}}\n"
    (tmp_path / "set.yml").write_text(text)

    answer = CliRunner().invoke(main, ["check-dataset", str(tmp_path / "set.yml")])

    assert answer.output.count(r"\x1b]0;x\x07[red]") == 2 and "\x1b" not in answer.output


def test_the_slices_of_a_volume_are_looked_at(tmp_path):
    for name in ("scan", "mask"):
        voxels = np.random.default_rng(0).integers(0, 2, (4, 4, 3)).astype(np.uint8)
        nibabel.save(nibabel.Nifti1Image(voxels, np.eye(4)), tmp_path / f"{name}.nii")
    (tmp_path / "set.yml").write_text("images: [{location: scan.nii, label: mask.nii}]")

    answer = CliRunner().invoke(main, ["check-dataset", str(tmp_path / "set.yml")])

    assert answer.exit_code == 0 and "3 images for segmentation" in answer.output


def test_labels_of_the_other_task_are_told(described):
    answer = CliRunner().invoke(main, ["check-dataset", "--task", "segmentation", described()])

    assert answer.exit_code == 1 and "segmentation needs a mask" in answer.output


def test_an_absent_description_is_one_sentence(tmp_path):
    answer = CliRunner().invoke(main, ["check-dataset", str(tmp_path / "none.yml")])

    assert answer.exit_code == 1
    assert answer.output == f"Error: {tmp_path / 'none.yml'} cannot be read: No such file or directory.\n"
