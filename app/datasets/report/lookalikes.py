"""Find images that lie in another split too, saved or resized anew: other pixels, the same picture."""

from collections import defaultdict
from collections.abc import Sequence

import numpy as np

from app.datasets.description import Description
from app.datasets.report.findings import WARNING, Findings
from app.datasets.report.sample import SMALL_SIDE_PX, Measures

BLOCK_PX = 4
# Between an image and its JPEG of quality 75 at 28 x 28 pixels, or of quality 30 at 224 x 224: at most 1.3 and 5.
# Between the most similar of 1,797 handwritten digits: 4 and more.
MOST_MEAN_DIFFERENCE = 1.5
MOST_DIFFERENCE = 6
LEAST_DEVIATION = 8  # of 0..255; what has no contrast looks like everything else that has none
MOST_COMPARED = 100_000  # images
MOST_CANDIDATES = 1000  # for one image
CHUNK = 256


class Lookalikes:
    """Keeps a small picture of each image that is in a split, and compares those of different splits."""

    def __init__(self, description: Description, split_of: dict[int, str]):
        self._description = description
        self._split_of = split_of
        self._seen: list[tuple[int, bytes | None]] = []  # sample and digest
        self._pictures: list[np.ndarray] = []

    def look(self, measures: Measures) -> None:
        """Keep the picture of a sample, if it is in a split and shows something."""
        picture = measures.small
        if picture is None or measures.index not in self._split_of or len(self._seen) >= MOST_COMPARED:
            return
        if picture.std() >= LEAST_DEVIATION:
            self._seen.append((measures.index, measures.digest))
            self._pictures.append(picture)

    def find(self, findings: Findings) -> None:
        """Warn of each sample that looks like one of an earlier split; equal ones are told as leaks already."""
        members: defaultdict[str, list[int]] = defaultdict(list)
        for position, (index, _) in enumerate(self._seen):
            members[self._split_of[index]].append(position)
        if len(members) < 2:
            return
        pictures = np.stack(self._pictures)
        earlier: list[int] = []
        for name in self._description.splits:
            if earlier and members[name]:
                self._compare(pictures, members[name], earlier, findings)
            earlier += members[name]

    def _compare(self, pictures: np.ndarray, own: Sequence[int], others: Sequence[int], findings: Findings) -> None:
        from sklearn.neighbors import KDTree  # takes a second, which a dataset of one split need not wait

        tree = KDTree(_blocks(pictures[others]), metric="chebyshev")
        for start in range(0, len(own), CHUNK):
            chunk = own[start : start + CHUNK]
            # Means of blocks differ by no more than their pixels do.
            for position, near in zip(chunk, tree.query_radius(_blocks(pictures[chunk]), MOST_DIFFERENCE), strict=True):
                twin = self._twin(pictures, position, [others[at] for at in near[:MOST_CANDIDATES]])
                if twin is not None:
                    self._tell(self._seen[position][0], self._seen[twin][0], findings)

    def _twin(self, pictures: np.ndarray, position: int, candidates: Sequence[int]) -> int | None:
        """Return the candidate that looks most alike, if it does so at all."""
        digest = self._seen[position][1]
        differing = [at for at in candidates if self._seen[at][1] != digest]
        if not differing:
            return None
        differences = np.abs(pictures[differing].astype(np.int16) - pictures[position])
        means = np.where(differences.max(axis=1) <= MOST_DIFFERENCE, differences.mean(axis=1), np.inf)
        return differing[int(means.argmin())] if means.min() <= MOST_MEAN_DIFFERENCE else None

    def _tell(self, index: int, twin: int, findings: Findings) -> None:
        file, other = (self._description.samples[at].location[0] for at in (index, twin))
        split, other_split = self._split_of[index], self._split_of[twin]
        message = (
            f"{file!r} ({split}) looks like {other!r} ({other_split}), as a copy does that was saved or resized anew; "
            "if it is one, leave one of them out."
        )
        findings.add(WARNING, "lookalike", message, file=file, split=split)


def _blocks(pictures: np.ndarray) -> np.ndarray:
    """Return the means of blocks of 4 x 4 pixels, `(N, 16)`."""
    blocks = SMALL_SIDE_PX // BLOCK_PX
    shape = (len(pictures), blocks, BLOCK_PX, blocks, BLOCK_PX)
    return pictures.reshape(shape).mean(axis=(2, 4), dtype=np.float32).reshape(len(pictures), -1)
