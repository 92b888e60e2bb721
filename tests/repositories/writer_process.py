"""One of several processes that write to the same table: python writer_process.py FOLDER MODE THREADS COUNT.

MODE `add` adds records and prints the id of each when `add` has returned; `count` adds 1 to a field of record 1.
COUNT 0 goes on until the process is killed.
"""

import os
import sys
import threading
from itertools import count, islice
from pathlib import Path

from app.repositories.placement import Placement
from app.repositories.repository import Repository
from app.repositories.table import Table

PART_SIZE = 10


def main(folder: str, mode: str, threads: str, times: str) -> None:
    repository = Repository(Table(Placement(Path(folder), "projects", PART_SIZE)), "project")

    def write(thread: int) -> None:
        for number in islice(count(), int(times) or None):
            if mode == "count":
                repository.transform(1, lambda record: record | {"count": record["count"] + 1})
            else:
                record = repository.add({"name": f"{os.getpid()} {thread} {number}"})
                os.write(1, f"{record['id']} {record['name']}\n".encode())  # one call: whole or absent in the pipe

    writers = [threading.Thread(target=write, args=(thread,)) for thread in range(int(threads))]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


if __name__ == "__main__":
    main(*sys.argv[1:])
