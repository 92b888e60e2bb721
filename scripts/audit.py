"""Ask whether a pinned dependency has a known vulnerability: `make audit`.

pip-audit is installed beside the service and not into it: it is needed for nothing else, and so changes nothing that is
audited. Exit code 0: none is known; 1: some are; 2: of some or all, nobody could tell.
"""

import json
import subprocess
import sys
import venv
from pathlib import Path

CLONE = Path(__file__).resolve().parent.parent
FOLDER = CLONE / ".venv" / "audit"
PACKAGE = "pip-audit>=2.9,<3"
MOST_SECONDS = 300


def main() -> int:
    """Audit constraints.txt, and say in one sentence what could not be."""
    if not install():
        return told("pip-audit cannot be installed, so nothing was audited: is the package index reachable?")
    command = [FOLDER / "bin" / "pip-audit", "--requirement", CLONE / "constraints.txt", "--no-deps", "--disable-pip"]
    options = ["--format", "json", "--progress-spinner", "off", "--timeout", "15"]
    try:
        answer = subprocess.run(
            [*map(str, command), *options], capture_output=True, text=True, timeout=MOST_SECONDS, check=False
        )
        return report(json.loads(answer.stdout)["dependencies"])
    except subprocess.TimeoutExpired:
        return told("The vulnerability service did not answer in time, so nothing was audited.")
    except ValueError:
        last = (answer.stderr.strip().splitlines() or ["it says nothing"])[-1]
        return told(f"The vulnerability service could not be asked, so nothing was audited ({last}).")


def report(dependencies: list[dict]) -> int:
    """Print what is known of each dependency; one that the service does not know counts as not audited."""
    unknown = [entry["name"] for entry in dependencies if "skip_reason" in entry]
    vulnerable = [entry for entry in dependencies if entry.get("vulns")]
    for entry in vulnerable:
        for fault in entry["vulns"]:
            fixed = ", ".join(fault["fix_versions"]) or "none yet"
            print(f"{entry['name']} {entry['version']}: {fault['id']}; fixed in: {fixed}")
    audited = len(dependencies) - len(unknown)
    print(f"{audited} of {len(dependencies)} dependencies audited, {len(vulnerable)} with a known vulnerability.")
    if vulnerable:
        return 1
    if not unknown:
        return 0
    names = ", ".join(unknown) if audited else "any of them"
    return told(f"Not audited, for the package index does not tell of {names}.")


def install() -> bool:
    """Install pip-audit where it is missing; tell whether it is there."""
    if (FOLDER / "bin" / "pip-audit").exists():
        return True
    print(f"Installing pip-audit into {FOLDER}")
    venv.create(FOLDER, with_pip=True)
    command = [str(FOLDER / "bin" / "python"), "-m", "pip", "install", "--quiet", PACKAGE]
    return subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode == 0


def told(sentence: str) -> int:
    """Say why there is no answer."""
    print(sentence, file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
