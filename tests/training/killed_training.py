"""Train in child processes that are killed at work, one after the other, until one comes to its end.

`python killed_training.py IMAGES WEIGHTS MILLISECONDS...`: each child is killed so long after it has trained for one
batch or more; the last one is left alone. This process only imports, so that its children can compute. It prints how
many were killed while they trained.
"""

import os
import signal
import sys
import time
from pathlib import Path

from resumable import Keeper, run

MOST_BATCHES = 3


def main(images, weights, *milliseconds):
    killed = 0
    for number, pause in enumerate([*milliseconds, None]):
        told, telling = os.pipe()
        if (child := os.fork()) == 0:
            run(Path(images), Path(weights), interval=1, epochs=12, keeper=keeper_that_tells(telling))
            os._exit(0)
        os.close(telling)
        if pause is not None:
            for _ in range(1 + number % MOST_BATCHES):
                os.read(told, 1)
            time.sleep(float(pause) / 1000)  # the moment of death is what is tried here
            os.kill(child, signal.SIGKILL)
        code = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
        os.close(told)
        killed += code == -signal.SIGKILL
    print(killed)
    return code


def keeper_that_tells(pipe):
    class Telling(Keeper):
        def is_checkpoint_due(self):
            os.write(pipe, b".")
            return super().is_checkpoint_due()

    return Telling


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
