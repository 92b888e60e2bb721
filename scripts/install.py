"""Set the clone up: a virtual environment in .venv, the pinned dependencies, the shipped datasets.

Only the standard library, and only words that old Pythons can read: one of them may be what `python3` is here, and it
shall answer with a sentence.
"""

# For the reason above:
# ruff: noqa: PTH100, PTH104, PTH112, PTH118, PTH120, PTH123, PTH207, PTH208, RUF005, UP004, UP010, UP030, UP032

from __future__ import print_function

import glob
import hashlib
import json
import os
import shutil
import subprocess
import sys
import time

OLDEST = (3, 11)
NEWER_NAMES = ["python3.11", "python3.12", "python3.13", "python3.14"]
FREE_BYTES = 3 * 1024**3

FOLDER = os.path.dirname(os.path.dirname(os.path.abspath(__file__)))
VENV = os.path.join(FOLDER, ".venv")
PYTHON = os.path.join(VENV, "bin", "python")
LOG = os.path.join(VENV, "install.log")
STAMP = os.path.join(VENV, ".installed")
DATASETS = os.path.join(FOLDER, "datasets")
SOURCES = ["setup.cfg", "pyproject.toml", "constraints.txt"]
SHIPPED = [os.path.join(DATASETS, "digits", "digits.yml"), os.path.join(DATASETS, "nuclei", "nuclei.yml")]

FAULTS = [
    (("No space left on device", "Disk quota exceeded"), "The disk is full; make room and run make install again."),
    (
        (
            "NewConnectionError",
            "Failed to establish a new connection",
            "Temporary failure in name resolution",
            "Network is unreachable",
            "ConnectTimeoutError",
            "ReadTimeoutError",
            "Read timed out",
            "ProxyError",
            "Connection refused",
            "Connection aborted",
            "Connection reset",
        ),
        "The packages cannot be downloaded: the network, or the package index that pip is set to, cannot be reached.",
    ),
    (("Permission denied",), "pip may not write here; check who owns {folder}.".format(folder=FOLDER)),
    (("error: command 'gcc'", "No such file or directory: 'gcc'"), "A C compiler is missing; install gcc."),
]


class Failure(Exception):
    """The set-up cannot go on; the message is one sentence."""


def main():
    """Do what is not done yet; return the exit code."""
    began = time.time()
    try:
        find_python()
        with open(__file__) as lock:
            wait_for_turn(lock)
            if is_installed():
                say("Already installed in {0}".format(VENV))
                return 0
            say("Installing into {0}".format(VENV))
            make_environment()
            install_packages(lock)
            make_datasets(lock)
            write_stamp()
        say("Installed in {0:.0f} s".format(time.time() - began))
        return 0
    except Failure as failure:
        say("Not installed: {0}".format(failure))
        return 1
    except OSError as error:
        say("Not installed: {0}.".format(error))
        return 1
    except KeyboardInterrupt:
        say("Interrupted; make install goes on from here.")
        return 130


def say(text):
    """Print a line at once, also into a pipe."""
    print(text)
    sys.stdout.flush()


def find_python():
    """Go on with a newer Python when this one is too old and there is one."""
    if sys.version_info[:2] >= OLDEST:
        return
    for name in NEWER_NAMES:
        if runs(name):
            os.execvp(name, [name, os.path.abspath(__file__)])
    raise Failure(
        "Python {0}.{1} or newer is needed, and {2} is {3}.{4}; install it, or name it with "
        "make install PYTHON=/path/to/python3.".format(*(OLDEST + (sys.executable,) + tuple(sys.version_info[:2])))
    )


def runs(name):
    """Tell whether the command is a Python that is new enough; version managers leave ones that do not run."""
    check = "import sys; sys.exit(sys.version_info[:2] < {0!r})".format(OLDEST)
    try:
        with open(os.devnull, "w") as nowhere:
            return subprocess.call([name, "-c", check], stdout=nowhere, stderr=nowhere) == 0
    except OSError:
        return False


def wait_for_turn(lock):
    """Wait until no other installation works in this clone."""
    import fcntl

    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        say("Another installation works in this clone; waiting for it")
        fcntl.flock(lock, fcntl.LOCK_EX)


def fingerprint():
    """Return what the environment is made from: a change of it means another set-up."""
    digest = hashlib.sha256()
    for name in SOURCES:
        with open(os.path.join(FOLDER, name), "rb") as source:
            digest.update(source.read() + b"\0")
    # A virtual environment holds its own place: a clone that was moved or copied needs a new one.
    return {"sources": digest.hexdigest(), "folder": FOLDER, "packages": installed_packages()}


def installed_packages():
    """List what lies in the environment: one that lost a package since is not whole."""
    found = []
    for folder in [os.path.join(VENV, "bin")] + glob.glob(os.path.join(VENV, "lib", "python*", "site-packages")):
        if os.path.isdir(folder):
            found += [name for name in os.listdir(folder) if name != "__pycache__"]
    return sorted(found)


def read_stamp():
    """Return the fingerprint of the last complete set-up, {} if there is none."""
    try:
        with open(STAMP) as stamp:
            return json.load(stamp)
    except (OSError, ValueError):
        return {}


def is_installed():
    """Tell whether nothing is left to do."""
    stamp = read_stamp()
    missing = set(stamp.pop("packages", [])) - set(installed_packages())
    now = fingerprint()
    now.pop("packages")
    return not missing and stamp == now and all(map(os.path.exists, [PYTHON] + SHIPPED))


def make_environment():
    """Make .venv, or keep one that an interrupted set-up left whole."""
    if has_usable_environment():
        return
    free = shutil.disk_usage(FOLDER).free
    if free < FREE_BYTES:
        raise Failure("{0:.1f} GB are needed, and {1:.1f} GB are free.".format(FREE_BYTES / 1e9, free / 1e9))
    with Step("Making the virtual environment with Python {0}.{1}".format(*sys.version_info[:2])):
        made = subprocess.run(
            [sys.executable, "-m", "venv", "--clear", VENV],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )
        if made.returncode:
            output = made.stdout.decode("utf-8", "replace")
            if "ensurepip" in output or "No module named venv" in output:
                raise Failure(
                    "This Python has no venv module; on Debian and Ubuntu apt-get install python3-venv brings it."
                )
            raise Failure(sentence(output, "the virtual environment cannot be made"))
        with open(os.path.join(VENV, ".folder"), "w") as place:
            place.write(FOLDER)


def has_usable_environment():
    """Tell whether .venv is whole, was made in this place, and has a pip that starts."""
    try:
        with open(os.path.join(VENV, ".folder")) as place:
            if place.read() != FOLDER:
                return False
        return (
            subprocess.call([PYTHON, "-m", "pip", "--version"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            == 0
        )
    except OSError:
        return False


def install_packages(lock):
    """Install the project with its dependencies, at the versions of constraints.txt."""
    if set(read_stamp().get("packages", [])) - set(installed_packages()):
        say("- Something is missing in .venv; making it anew")
        shutil.rmtree(VENV)
        make_environment()
    with Step("Installing the dependencies (1.5 GB, or 6 GB with PyTorch's GPU build; details in .venv/install.log)"):
        run_logged(
            [PYTHON, "-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
            + ["-c", "constraints.txt", "-e", ".[dev]"],
            "pip failed",
            lock,
        )


def make_datasets(lock):
    """Make the datasets of the demonstration and the tests."""
    with Step("Making the datasets digits and nuclei"):
        run_logged([PYTHON, "-m", "app.datasets.shipped", DATASETS], "the datasets cannot be made", lock)


def run_logged(command, fault, lock):
    """Run a command with its output in the log; show now and then what it does.

    The command holds the lock too: when this process is killed, the next set-up waits until the command has ended.
    """
    with open(LOG, "a") as log:
        log.write("$ {0}\n".format(" ".join(command)))
        process = subprocess.Popen(
            command,
            cwd=FOLDER,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            universal_newlines=True,
            errors="replace",
            pass_fds=[lock.fileno()],
        )
        lines = []
        shown = time.time()
        for line in process.stdout:
            lines.append(line)
            log.write(line)
            if time.time() - shown > 15:
                say("    still at it")
                shown = time.time()
        if process.wait():
            raise Failure(sentence("".join(lines), fault))


def sentence(output, fault):
    """Return one sentence for the output of a command that failed."""
    for signs, text in FAULTS:
        if any(sign in output for sign in signs):
            return text
    lines = [line.strip() for line in output.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR:")] or lines[-1:] or ["no output"]
    return "{0} ({1}); all of its output is in {2}.".format(fault, errors[-1].rstrip("."), LOG)


def write_stamp():
    """Note that the set-up is complete, in one step."""
    with open(STAMP + ".part", "w") as stamp:
        json.dump(fingerprint(), stamp)
    os.rename(STAMP + ".part", STAMP)


class Step(object):
    """Say what is done, and how long it took."""

    def __init__(self, text):
        self.text = text

    def __enter__(self):
        self.began = time.time()
        say("- {0} ...".format(self.text))

    def __exit__(self, kind, *_):
        if kind is None:
            say("  done in {0:.0f} s".format(time.time() - self.began))


if __name__ == "__main__":
    sys.exit(main())
