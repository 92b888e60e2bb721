"""Random generators that cost a microsecond to make: a training makes a few for every image.

`numpy.random.SeedSequence`, which makes well-mixed words out of any numbers, takes ten times as long as a small image's
operation. Here a hash does it, or nothing where the number is random already.
"""

from hashlib import blake2b

import numpy as np
from numpy.random.bit_generator import ISeedSequence

_WORDS = 3  # of 64 bits: the seed of SFC64


class _Words(ISeedSequence):
    """Hand words to a bit generator as they are."""

    def __init__(self, words: np.ndarray):
        self._words = words

    def generate_state(self, n_words, dtype=np.uint32):
        assert (n_words, dtype) == (_WORDS, np.uint64), "made for SFC64"
        return self._words


def sample_generator(seed: int, epoch: int, index: int, times: int = 0) -> np.random.Generator:
    """Make the generator of one sample in one epoch: results depend on nothing else, order and workers included.

    `times` is how often the sample came before in this epoch.
    """
    text = f"{seed},{epoch},{index}" + (f",{times}" if times else "")
    words = blake2b(text.encode(), digest_size=8 * _WORDS).digest()
    return _generator(np.frombuffer(words, "<u8").astype(np.uint64))


def pixel_generator(seed: int) -> np.random.Generator:
    """Make the generator of values that are random per pixel, from a random number of 64 bits.

    SFC64 mixes the word it gets three times before it is used, as its author recommends for a seed of one word.
    """
    return _generator(np.array([seed] * _WORDS, np.uint64))


def _generator(words: np.ndarray) -> np.random.Generator:
    # NumPy documents that any ISeedSequence is taken; its type hints say less.
    return np.random.Generator(np.random.SFC64(_Words(words)))  # type: ignore[arg-type]
