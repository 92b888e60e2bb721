"""What a description says of itself."""

from app.datasets.description import Description, Sample

DESCRIPTION = Description(
    name="Insects",
    text="",
    classes=("ant", "bee"),
    features=(),
    samples=(
        Sample(("a.png",), classes=(0,)),
        Sample(("b.png",), classes=(1, 0)),
        Sample(("c.png",)),
        Sample(("d.png",), mask="m.png"),
        Sample(("e.png",), classes=()),
    ),
    splits={"training": (1, 0), "test": (2,), "mixed": (0, 2), "empty": (), "others": (3, 4)},
)


def test_split_that_is_absent_has_no_samples():
    assert DESCRIPTION.split("training") == (1, 0)
    assert DESCRIPTION.split("validation") == ()


def test_split_has_labels_if_it_has_samples_and_each_is_labelled():
    named = ["training", "test", "mixed", "empty", "others", "validation"]
    assert [DESCRIPTION.has_labels(name) for name in named] == [True, False, False, False, True, False]


def test_used_indexes_are_those_in_a_split_or_all():
    assert DESCRIPTION.used_indexes() == [0, 1, 2, 3, 4]
    only_test = Description("", "", (), (), DESCRIPTION.samples, {"test": (4, 1)})
    assert only_test.used_indexes() == [1, 4]
    assert list(Description("", "", (), (), DESCRIPTION.samples, {}).used_indexes()) == [0, 1, 2, 3, 4]


def test_summary_counts_samples_and_splits():
    assert DESCRIPTION.summary() == {
        "classes": ["ant", "bee"],
        "sample_count": 5,
        "splits": {"training": 2, "test": 1, "mixed": 2, "empty": 0, "others": 2},
        "is_multi_label": True,
    }


def test_class_counts_are_per_split():
    assert DESCRIPTION.class_counts("training") == [2, 1]
    assert DESCRIPTION.class_counts("test") == [0, 0]


def test_images_with_no_class_or_several_make_a_dataset_multi_label():
    def described(*samples, splits=None):
        return Description("", "", ("ant", "bee"), (), samples, splits or {})

    one, none, mask = (DESCRIPTION.samples[index] for index in (0, 4, 3))
    assert described(one, none).is_multi_label
    assert not described(one, Sample(("f.png",)), mask).is_multi_label
    assert not described(one, none, splits={"training": (0,)}).is_multi_label
