"""Read a file and damaged copies of it with little memory."""

import resource
from pathlib import Path

import numpy as np
import PIL.Image

from app.datasets.images import read_image, read_mask_values
from app.datasets.probe import probe
from app.errors import InvalidInput, JobFailure

MOST_PIXELS = 1_000_000


def read_all(pipe, path, part, damages, megabytes):
    """Send how often something was told of a file and so many damaged copies of it, written in its place."""
    PIL.Image.init()
    used = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limit = used + megabytes * 1024**2
    resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
    content = path.read_bytes()
    told = attempt(path, part)
    generator = np.random.default_rng(7)
    for _ in range(damages):
        path.write_bytes(damaged(content, generator))
        told += attempt(path, part)
    pipe.send(told)


def damaged(content, generator):
    """Change some bytes, often those at the beginning, and sometimes cut the end off."""
    changed = bytearray(content)
    start = min(len(content), int(generator.choice([64, 512, 4096, len(content)])))
    for at in generator.integers(0, start, generator.integers(1, 9)):
        changed[at] = generator.choice([0, 1, 127, 128, 255, generator.integers(256)])
    if generator.random() < 0.2:
        del changed[generator.integers(len(changed)) :]
    return changed


def attempt(path, part):
    """Read it in every way; return in how many it was refused, each time by its name and in one line."""
    place, told = path.with_name(path.name + part), 0
    for read in (
        lambda: read_image([place], 3, max_pixels=MOST_PIXELS),
        lambda: probe(place),
        lambda: read_mask_values(place, max_pixels=MOST_PIXELS),
    ):
        try:
            read()
        except (JobFailure, InvalidInput) as error:
            assert path.name in error.message and "\n" not in error.message, error.message
            told += 1
    return told
