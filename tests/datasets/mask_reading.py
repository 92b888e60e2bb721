"""Read a mask that is the only one of its dataset."""

from app.datasets import images
from app.datasets.masks import find_rule
from app.errors import JobFailure


def read_mask(place, class_count, max_pixels=1_000_000):
    """Return the class map of a mask whose own values make the rule."""
    values = images.read_mask_values(place, max_pixels=max_pixels)
    rule, wrong = find_rule(set(values.ravel().tolist()), class_count)
    if wrong:
        raise JobFailure(f"{place} holds {wrong}")
    return images.read_mask(place, rule, max_pixels=max_pixels)
