"""The web process stays light."""

import subprocess
import sys

from app.settings import CLONE_FOLDER

MOST_MEGABYTES = 150

SCRIPT = """
import sys
from pathlib import Path
from app import create_app
from app.settings import Settings

client = create_app(Settings(storage_dir=Path(sys.argv[1]))).test_client()
for path in ("/backend/tasks", "/backend/models", "/backend/datasets", "/backend/openapi.json", "/backend/docs"):
    assert client.get(path).status_code == 200, path

for name in ("torch", "monai", "sklearn", "scipy", "matplotlib", "cv2", "onnx", "onnxruntime", "pyeddl", "pyecvl"):
    assert name not in sys.modules, name
status = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
print(int(status["VmHWM"].split()[0]) // 1024)
"""


def test_the_web_process_loads_no_framework_and_stays_small(tmp_path):
    answer = subprocess.run(
        [sys.executable, "-c", SCRIPT, str(tmp_path)], cwd=CLONE_FOLDER, capture_output=True, text=True
    )

    assert answer.returncode == 0, answer.stderr
    assert int(answer.stdout) < MOST_MEGABYTES


def test_everything_that_the_web_process_can_reach_loads_no_framework():
    script = """
import importlib, pkgutil, sys
import app.api, app.web, app.jobs.processes.submission, app.jobs.processes.following, app.jobs.removal.deletion
for package in (app.api, app.web):
    for module in pkgutil.walk_packages(package.__path__, package.__name__ + "."):
        importlib.import_module(module.name)
for name in ("torch", "monai", "sklearn", "scipy", "matplotlib", "cv2", "onnx", "onnxruntime"):
    assert name not in sys.modules, name
"""
    answer = subprocess.run([sys.executable, "-c", script], cwd=CLONE_FOLDER, capture_output=True, text=True)

    assert answer.returncode == 0, answer.stderr
