import subprocess
import sys
from pathlib import Path

from app.settings import CLONE_FOLDER

SCRIPT = """
import os, sys
from pathlib import Path
from app.api.middleware.metrics_folder import make_metrics_folder
print(make_metrics_folder(Path(sys.argv[1])), flush=True)
if os.fork() == 0:
    sys.exit()
os.wait()
print(len(list(Path(sys.argv[1]).iterdir())), flush=True)
if len(sys.argv) > 2:
    os.kill(os.getpid(), 9)
"""


def run(folder, *how):
    command = [sys.executable, "-c", SCRIPT, str(folder), *how]
    return subprocess.run(command, cwd=CLONE_FOLDER, capture_output=True, text=True).stdout.splitlines()


def test_the_folder_goes_with_its_maker_and_not_with_a_worker(tmp_path):
    made, count = run(tmp_path)
    assert count == "1" and not Path(made).exists()


def test_what_a_killed_one_left_goes_at_the_next_start(tmp_path):
    left, _ = run(tmp_path, "to be killed")
    assert Path(left).is_dir()

    run(tmp_path)

    assert list(tmp_path.iterdir()) == []
