"""The set-up script: what can be seen without the network."""

import ast
import importlib.util
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from app.settings import CLONE_FOLDER

SCRIPT = CLONE_FOLDER / "scripts" / "install.py"


@pytest.fixture
def clone(tmp_path):
    """Make a clone with nothing in it but what the set-up reads."""
    (tmp_path / "scripts").mkdir()
    shutil.copy(SCRIPT, tmp_path / "scripts")
    for name in ("setup.cfg", "pyproject.toml", "constraints.txt"):
        shutil.copy(CLONE_FOLDER / name, tmp_path)
    return tmp_path


def load(clone: Path):
    spec = importlib.util.spec_from_file_location("install", clone / "scripts" / "install.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def install(clone: Path, **environment: str) -> subprocess.CompletedProcess:
    return subprocess.run(
        [sys.executable, clone / "scripts" / "install.py"],
        capture_output=True,
        text=True,
        env=os.environ | environment,
    )


def make_complete(module) -> None:
    """Leave what a complete set-up leaves."""
    for path in (module.PYTHON, *module.SHIPPED):
        Path(path).parent.mkdir(parents=True, exist_ok=True)
        Path(path).touch()
    module.write_stamp()


def test_without_packages_it_fails_with_one_sentence_and_goes_on_from_there(clone):
    offline = {"PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "", "PIP_CONFIG_FILE": os.devnull, "PIP_CONSTRAINT": ""}

    first = install(clone, **offline)
    second = install(clone, **offline)

    assert first.returncode == second.returncode == 1
    assert "Making the virtual environment" in first.stdout
    assert "Making the virtual environment" not in second.stdout
    assert first.stdout.splitlines()[-1].startswith("Not installed: pip failed (ERROR: ")
    assert first.stderr == ""
    assert "No matching distribution found" in (clone / ".venv" / "install.log").read_text()


def test_a_complete_set_up_is_left_alone(clone):
    make_complete(load(clone))

    answer = install(clone)

    assert answer.returncode == 0
    assert answer.stdout == f"Already installed in {clone}/.venv\n"


def test_a_package_that_was_deleted_means_another_set_up(clone):
    module = load(clone)
    package = clone / ".venv" / "lib" / "python3.11" / "site-packages" / "flask"
    package.mkdir(parents=True)
    make_complete(module)
    assert module.is_installed()

    package.rmdir()

    assert not module.is_installed()


@pytest.mark.parametrize("name", ["setup.cfg", "pyproject.toml", "constraints.txt"])
def test_another_dependency_means_another_set_up(clone, name):
    module = load(clone)
    make_complete(module)
    assert module.is_installed()

    (clone / name).write_text("changed")

    assert not module.is_installed()


def test_a_copied_clone_sets_up_its_own_environment(clone, tmp_path_factory):
    make_complete(load(clone))
    (clone / ".venv" / ".folder").write_text(str(clone))
    copy = tmp_path_factory.mktemp("copy")
    shutil.copytree(clone, copy, dirs_exist_ok=True)

    assert not load(copy).is_installed()
    assert not load(copy).has_usable_environment()


def test_removed_datasets_are_made_again(clone):
    module = load(clone)
    make_complete(module)

    Path(module.SHIPPED[0]).unlink()

    assert not module.is_installed()


@pytest.mark.parametrize(
    ("output", "sentence"),
    [
        ("OSError: [Errno 28] No space left on device", "The disk is full; make room and run make install again."),
        (
            "WARNING: Retrying ... NewConnectionError(...)\nERROR: No matching distribution",
            "The packages cannot be downl",
        ),
        ("ERROR: Cannot install a and b.\nhint", "it failed (ERROR: Cannot install a and b); all of its output is in "),
        ("", "it failed (no output); "),
    ],
)
def test_each_fault_is_one_sentence(clone, output, sentence):
    assert load(clone).sentence(output, "it failed").startswith(sentence)


def test_an_old_python_is_refused_with_the_way_out(clone, monkeypatch):
    module = load(clone)
    monkeypatch.setattr(module, "OLDEST", (99, 1))

    with pytest.raises(
        module.Failure, match=r"^Python 99\.1 or newer is needed, and .* is 3\.\d+; install it, or name it"
    ):
        module.find_python()


def test_it_uses_only_words_that_old_pythons_can_read():
    """Else they would answer with a SyntaxError in place of the sentence."""
    too_new = (ast.JoinedStr, ast.AnnAssign, ast.NamedExpr, ast.AsyncFunctionDef, ast.Match)

    for node in ast.walk(ast.parse(SCRIPT.read_text())):
        assert not isinstance(node, too_new), ast.unparse(node)
        assert not (isinstance(node, ast.arg) and node.annotation), ast.unparse(node)
        assert not (isinstance(node, ast.FunctionDef) and (node.returns or node.args.kwonlyargs)), node.name
        assert not (isinstance(node, ast.Raise) and node.cause), ast.unparse(node)
