"""Hypothesis strategies: whatever the catalogue accepts, odd numbers included."""

from hypothesis import strategies as st

from app.augment.signatures import CONTAINERS, ONE_OF, OPERATIONS, SEQUENTIAL, Augmentation


def numbers(parameter):
    return st.floats(parameter.minimum, parameter.maximum, allow_nan=False, allow_infinity=False)


def values(parameter):
    if parameter.choices:
        return st.sampled_from(parameter.choices)
    if parameter.kind == "range":
        return st.tuples(numbers(parameter), numbers(parameter)).map(lambda pair: tuple(sorted(pair)))
    if parameter.kind == "vector":
        return st.sampled_from(parameter.lengths).flatmap(lambda count: st.tuples(*[numbers(parameter)] * count))
    return numbers(parameter)


@st.composite
def operations(draw):
    signature = OPERATIONS[draw(st.sampled_from(sorted(set(OPERATIONS) - CONTAINERS)))]
    if signature.name == "AugNormalize":
        length = draw(st.integers(0, 4))
        number = st.floats(allow_nan=False, allow_infinity=False)
        mean = draw(st.tuples(*[number] * length)) if length else draw(number)
        std = draw(st.tuples(*[number] * length)) if length else draw(number.filter(bool))
        return Augmentation(signature.name, {"mean": mean, "std": std})
    chosen = {p.name: draw(values(p)) for p in signature.parameters if p.required or draw(st.booleans())}
    if signature.name == "AugScaleFromTo":
        chosen |= {"old_min": 0.0, "old_max": draw(st.floats(1e-9, 1e9))}
    if signature.name == "AugResizeDim":
        width, height, *channels = chosen["dims"]
        chosen |= {"dims": (width, height, *(min(count, 4.0) for count in channels))}
    return Augmentation(signature.name, chosen)


augmentations = st.recursive(
    operations(),
    lambda children: st.one_of(
        st.lists(children, max_size=4).map(lambda found: Augmentation(SEQUENTIAL, {}, tuple(found))),
        st.tuples(st.floats(0, 1), st.lists(children, min_size=1, max_size=4)).map(
            lambda found: Augmentation(ONE_OF, {"p": found[0]}, tuple(found[1]))
        ),
    ),
    max_leaves=12,
)
