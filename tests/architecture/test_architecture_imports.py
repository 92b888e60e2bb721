"""The rules of the house that a machine can check."""

import re
import subprocess
import sys
from pathlib import Path

from app.settings import CLONE_FOLDER

# Setting what a library reads (`os.environ.setdefault`) is no reading.
READING = re.compile(r"os\.environ(?!\.setdefault)|getenv")


def test_the_import_contracts_are_kept():
    command = [Path(sys.executable).parent / "lint-imports", "--no-cache"]

    answer = subprocess.run(command, cwd=CLONE_FOLDER, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stdout + answer.stderr
    assert " 0 broken" in answer.stdout


def test_only_the_settings_read_the_environment():
    readers = {
        path.relative_to(CLONE_FOLDER / "app").as_posix()
        for path in (CLONE_FOLDER / "app").rglob("*.py")
        if READING.search(path.read_text("utf-8"))
    }

    # Beside the settings: three that hand the environment on to programs that they start, and the NO_COLOR convention.
    others = {"launcher.py", "demo/service.py", "jobs/worker/environment.py", "program_log.py"}
    assert readers <= {"settings.py", *others}
