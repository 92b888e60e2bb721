"""`make demo`, from its first line to its last, on the datasets that `make install` has made."""

import re
import subprocess
import sys

import pytest
from conftest import CLONE

RUN = "import sys; from pathlib import Path; from app.demo.story import run_demo; run_demo(Path(sys.argv[1]))"


@pytest.mark.timeout(1200)  # a minute of work, for which a busy machine takes many
def test_the_demo_trains_both_networks_and_shows_their_scores(tmp_path):
    folder = tmp_path / "demo"

    done = subprocess.run([sys.executable, "-c", RUN, str(folder)], cwd=CLONE, capture_output=True, text=True)

    assert done.returncode == 0, done.stdout + done.stderr
    accuracy, dice = (float(re.search(rf"Test {word} (0\.\d+)", done.stdout)[1]) for word in ("accuracy", "Dice"))
    assert accuracy >= 0.97
    assert dice >= 0.8
    assert len(re.findall(r"^  \d  .*·", done.stdout, re.MULTILINE)) == 10
    assert str(folder / "storage" / "weights" / "1") in done.stdout
    assert (folder / "storage" / "weights" / "2" / "best.pt").is_file()
