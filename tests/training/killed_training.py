"""Train in child processes that are killed after given times, one after the other, until one comes to its end.

`python killed_training.py IMAGES WEIGHTS MILLISECONDS...`: the last child is left alone. This process only imports, so
that its children can compute. It prints how many were killed while they trained.
"""

import os
import signal
import sys
import time
from pathlib import Path

from resumable import run


def main(images, weights, *milliseconds):
    killed = 0
    for pause in [*milliseconds, None]:
        if (child := os.fork()) == 0:
            run(Path(images), Path(weights), interval=1, epochs=12)
            os._exit(0)
        if pause is not None:
            time.sleep(int(pause) / 1000)  # the moment of death is what is tried here
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        killed += code == -signal.SIGKILL
    print(killed)
    return code


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
