"""The contract of `app.training.engine`, run for every engine that is installed (`conftest.py`)."""

import itertools
import resource
from contextlib import contextmanager

import numpy as np
import pytest
from tried_engines import skip_where_batches_are_one

from app.engines import get_engine
from app.errors import JobFailure, StorageUnavailable
from app.training.config import TrainingConfig
from app.zoo.architectures import ARCHITECTURES

CLASSIFICATION = TrainingConfig(
    task="classification", architecture="lenet", classes=("a", "b", "c"), channels=1, learning_rate=1e-3,
    loss="cross_entropy", metric="categorical_accuracy", epochs=1, batch_size=4, input_height=12, input_width=16,
    optimizer="adam", weight_decay=0.0, seed=7,
)  # fmt: skip
SEGMENTATION = TrainingConfig(
    task="segmentation", architecture="unet", classes=("nucleus",), channels=3, learning_rate=1e-3,
    loss="dice", metric="dice", epochs=1, batch_size=2, input_height=32, input_width=40,
    optimizer="adam", weight_decay=0.0, seed=7,
)  # fmt: skip


def changed(config, **values):
    return TrainingConfig.from_dict(config.to_dict() | values)


def batch_for(config, samples=4):
    generator = np.random.default_rng(1)
    size = (samples, config.channels, config.input_height, config.input_width)
    images = generator.random(size, dtype=np.float32)
    highest = max(2, len(config.classes))
    shape = (samples,) if config.task == "classification" else (samples, config.input_height, config.input_width)
    return images, generator.integers(0, highest, shape)


@pytest.mark.parametrize("channels", [1, 3, 5])
@pytest.mark.parametrize("count", [2, 7])
def test_class_probabilities_have_a_row_for_each_sample_that_sums_to_one(engine, channels, count):
    config = changed(CLASSIFICATION, channels=channels, classes=[str(index) for index in range(count)])
    images, _ = batch_for(config)

    probabilities = engine.build(config).predict_batch(images)

    assert probabilities.shape == (4, count) and probabilities.dtype == np.float32
    np.testing.assert_allclose(probabilities.sum(axis=1), 1, atol=1e-5)


@pytest.mark.parametrize(("classes", "planes"), [([], 1), (["cell"], 1), (["background", "a", "b"], 3)])
def test_mask_probabilities_have_the_size_of_the_images(engine, classes, planes):
    config = changed(SEGMENTATION, classes=classes)
    images, _ = batch_for(config, samples=2)

    probabilities = engine.build(config).predict_batch(images)

    assert probabilities.shape == (2, planes, 32, 40)
    assert probabilities.min() >= 0 and probabilities.max() <= 1


@pytest.mark.parametrize("loss", ["cross_entropy", "soft_cross_entropy", "mean_squared_error", "binary_cross_entropy"])
def test_every_classification_loss_falls_when_one_batch_is_learned(engine, loss):
    config = changed(CLASSIFICATION, loss=loss)
    network, batch = engine.build(config), batch_for(config)

    losses = [network.train_batch(*batch).loss for _ in range(15)]

    assert losses[-1] < 0.9 * losses[0]


@pytest.mark.parametrize(
    "loss", ["dice", "dice_cross_entropy", "focal", "cross_entropy", "binary_cross_entropy", "mean_squared_error"]
)
@pytest.mark.parametrize("classes", [["cell"], ["background", "a", "b"]])
def test_every_segmentation_loss_falls_when_one_batch_is_learned(engine, loss, classes):
    config = changed(SEGMENTATION, loss=loss, classes=classes)
    network, batch = engine.build(config), batch_for(config, samples=2)

    losses = [network.train_batch(*batch).loss for _ in range(6)]

    assert losses[-1] < losses[0]


@pytest.mark.parametrize("loss", ["binary_cross_entropy", "mean_squared_error"])
@pytest.mark.parametrize("count", [1, 4])
def test_classes_that_exclude_nothing_are_learned_each_by_itself(engine, loss, count):
    config = changed(CLASSIFICATION, loss=loss, is_multi_label=True, classes=[str(index) for index in range(count)])
    images, _ = batch_for(config)
    targets = np.array([[1, 1, 0, 1], [0, 0, 0, 1], [0, 0, 0, 0], [1, 0, 1, 1]])[:, :count]
    network = engine.build(config)
    before = network.evaluate_batch(images, targets)

    losses = [network.train_batch(images, targets).loss for _ in range(150)]

    learned = network.predict_batch(images)
    np.testing.assert_array_equal(learned >= 0.5, targets == 1)
    assert losses[0] == pytest.approx(before.loss, rel=1e-5) and losses[-1] < losses[0]
    if loss == "binary_cross_entropy":
        likelihood = np.where(targets == 1, before.probabilities, 1 - before.probabilities)
        assert before.loss == pytest.approx(-np.log(likelihood).mean(), rel=1e-5)


@pytest.mark.parametrize("optimizer", ["adam", "adamw", "sgd"])
def test_evaluating_learns_nothing_and_training_does(engine, optimizer):
    config = changed(CLASSIFICATION, optimizer=optimizer)
    network, (images, targets) = engine.build(config), batch_for(config)
    before = network.predict_batch(images)

    evaluated = network.evaluate_batch(images, targets)
    np.testing.assert_array_equal(network.predict_batch(images), before)
    np.testing.assert_allclose(evaluated.probabilities, before, atol=1e-6)

    network.train_batch(images, targets)
    assert np.abs(network.predict_batch(images) - before).max() > 0


@pytest.mark.parametrize("architecture", ["resnet18", "efficientnet_b0"])
def test_what_is_evaluated_or_predicted_depends_on_no_other_image_and_on_no_chance(engine, architecture):
    config = changed(CLASSIFICATION, architecture=architecture, input_height=32, input_width=32)
    network, (images, targets) = engine.build(config), batch_for(config)
    network.train_batch(images, targets)

    predicted = network.predict_batch(images)

    one_by_one = np.concatenate([network.predict_batch(image[np.newaxis]) for image in images])
    np.testing.assert_allclose(predicted, one_by_one, atol=1e-5)
    network.train_batch(images, targets)
    evaluated = network.evaluate_batch(images, targets).probabilities
    np.testing.assert_array_equal(network.evaluate_batch(images, targets).probabilities, evaluated)
    one_by_one = [network.evaluate_batch(images[i : i + 1], targets[i : i + 1]).probabilities for i in range(4)]
    np.testing.assert_allclose(evaluated, np.concatenate(one_by_one), atol=1e-5)


def test_sgd_has_a_momentum(engine):
    network, (images, targets) = engine.build(changed(CLASSIFICATION, optimizer="sgd")), batch_for(CLASSIFICATION)
    predictions = [network.predict_batch(images)]

    for _ in range(2):
        network.train_batch(images, targets)
        predictions.append(network.predict_batch(images))

    first, second = (np.abs(after - before).max() for before, after in itertools.pairwise(predictions))
    assert second / first == pytest.approx(1 + 0.9, rel=0.1)


def test_cross_entropy_is_the_mean_negative_log_probability_of_the_targets(engine):
    network, (images, targets) = engine.build(CLASSIFICATION), batch_for(CLASSIFICATION)

    result = network.evaluate_batch(images, targets)

    expected = -np.log(result.probabilities[np.arange(4), targets]).mean()
    assert result.loss == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize("config", [CLASSIFICATION, SEGMENTATION], ids=["classification", "segmentation"])
def test_a_seed_makes_two_trainings_bit_identical(engine, config):
    def trained(seed):
        network, (images, targets) = engine.build(changed(config, seed=seed)), batch_for(config)
        for _ in range(3):
            network.train_batch(images, targets)
        return network.predict_batch(images)

    first = trained(3)
    np.testing.assert_array_equal(trained(3), first)
    assert np.abs(trained(4) - first).max() > 0


def test_saved_weights_give_the_same_predictions_in_a_new_network(engine, tmp_path):
    network, (images, targets) = engine.build(CLASSIFICATION), batch_for(CLASSIFICATION)
    network.train_batch(images, targets)
    network.save_weights(tmp_path / "best")

    other = engine.build(changed(CLASSIFICATION, seed=99))
    unfitting = other.load_weights(tmp_path / "best")

    assert list(unfitting) == []
    np.testing.assert_array_equal(other.predict_batch(images), network.predict_batch(images))


def test_only_the_last_layer_is_drawn_anew_when_the_classes_differ(engine, tmp_path):
    engine.build(CLASSIFICATION).save_weights(tmp_path / "best")

    other = engine.build(changed(CLASSIFICATION, classes=["a", "b", "c", "d", "e"], seed=99))
    unfitting = other.load_weights(tmp_path / "best")

    assert len(unfitting) == 2
    assert other.predict_batch(batch_for(CLASSIFICATION)[0]).shape == (4, 5)


def test_a_checkpoint_continues_bit_for_bit(engine, tmp_path):
    images, targets = batch_for(CLASSIFICATION)
    straight = engine.build(CLASSIFICATION)
    for _ in range(2):
        straight.train_batch(images, targets)
    straight.save_checkpoint(tmp_path / "last", {"epoch": 2})
    straight.train_batch(images, targets)

    resumed = engine.build(changed(CLASSIFICATION, seed=99))
    position = resumed.load_checkpoint(tmp_path / "last")
    resumed.train_batch(images, targets)

    assert position == {"epoch": 2}
    np.testing.assert_array_equal(resumed.predict_batch(images), straight.predict_batch(images))


def learned(engine, config, *batches):
    """Return the predictions after one step from the weights of the seed."""
    network = engine.build(config)
    for number, (images, targets, share) in enumerate(batches, start=1):
        network.train_batch(images, targets, share=share, is_step=number == len(batches))
    return network.predict_batch(batch_for(config)[0])


@pytest.mark.parametrize("config", [CLASSIFICATION, SEGMENTATION], ids=["classification", "segmentation"])
@pytest.mark.parametrize("sizes", [(3, 1), (1, 1, 1, 1)])
def test_gradients_that_are_added_up_are_those_of_one_large_batch(engine, config, sizes):
    skip_where_batches_are_one(engine, config)
    config = changed(config, optimizer="sgd", learning_rate=0.1)
    images, targets = batch_for(config)
    ends = np.cumsum(sizes)
    parts = [
        (images[end - size : end], targets[end - size : end], size / 4) for size, end in zip(sizes, ends, strict=True)
    ]

    together = learned(engine, config, (images, targets, 1.0))

    np.testing.assert_allclose(learned(engine, config, *parts), together, atol=2e-5)
    assert np.abs(learned(engine, config, parts[0]) - together).max() > 1e-4


@pytest.mark.parametrize("config", [CLASSIFICATION, SEGMENTATION], ids=["classification", "segmentation"])
def test_a_batch_that_is_computed_in_parts_gives_the_same(engine, config):
    skip_where_batches_are_one(engine, config)
    config = changed(config, optimizer="sgd", learning_rate=0.1)
    images, targets = batch_for(config)
    whole, parts = engine.build(config), engine.build(changed(config, batch_parts=3))

    for network in (whole, parts):
        network.first = network.train_batch(images, targets)

    assert parts.first.loss == pytest.approx(whole.first.loss, rel=1e-5)
    np.testing.assert_allclose(parts.first.probabilities, whole.first.probabilities, atol=1e-5)
    np.testing.assert_allclose(parts.predict_batch(images), whole.predict_batch(images), atol=2e-5)
    assert parts.evaluate_batch(images, targets).loss == pytest.approx(
        whole.evaluate_batch(images, targets).loss, rel=1e-4
    )


@pytest.mark.parametrize("loss", ["cross_entropy", "mean_squared_error", "binary_cross_entropy"])
def test_class_weights_scale_the_gradient_and_not_the_reported_loss(engine, loss):
    config = changed(CLASSIFICATION, optimizer="sgd", learning_rate=0.1, loss=loss)
    images, _ = batch_for(config)
    targets = np.array([0, 0, 1, 2])
    weighted = changed(config, loss_weights=[2.0, 0.5, 1.0])
    plain = engine.build(config).train_batch(images, targets)
    each = [(images[[index]], targets[[index]], weight / 4) for index, weight in enumerate([2.0, 2.0, 0.5, 1.0])]

    np.testing.assert_allclose(
        learned(engine, weighted, (images, targets, 1.0)), learned(engine, config, *each), atol=2e-5
    )
    assert engine.build(weighted).train_batch(images, targets).loss == pytest.approx(plain.loss, rel=1e-5)


@pytest.mark.parametrize("config", [CLASSIFICATION, SEGMENTATION], ids=["classification", "segmentation"])
def test_mixed_precision_learns_and_predicts_in_full_precision(engine, config):
    mixed, images_and_targets = changed(config, precision="mixed"), batch_for(config)
    network = engine.build(mixed)
    np.testing.assert_array_equal(
        network.predict_batch(images_and_targets[0]), engine.build(config).predict_batch(images_and_targets[0])
    )

    losses = [network.train_batch(*images_and_targets).loss for _ in range(12)]

    assert losses[0] == pytest.approx(engine.build(config).train_batch(*images_and_targets).loss, rel=0.02)
    assert losses[-1] < losses[0]
    assert losses[0] != engine.build(config).train_batch(*images_and_targets).loss


def test_a_learning_rate_counts_from_the_next_step_on(engine):
    images, targets = batch_for(CLASSIFICATION)
    network = engine.build(changed(CLASSIFICATION, optimizer="sgd"))
    before = network.predict_batch(images)

    network.set_learning_rate(0.0)
    network.train_batch(images, targets)
    np.testing.assert_array_equal(network.predict_batch(images), before)

    network.set_learning_rate(0.1)
    network.train_batch(images, targets)
    assert np.abs(network.predict_batch(images) - before).max() > 0


@pytest.mark.parametrize("architecture", ["lenet", "resnet18"])
def test_a_frozen_encoder_stays_as_it_is_and_learns_again_when_it_is_let(engine, architecture, tmp_path):
    import torch

    config = changed(CLASSIFICATION, architecture=architecture, input_height=32, input_width=32, freeze_epochs=1)
    images, targets = batch_for(config)
    network = engine.build(config)

    def learn():
        network.train_batch(images, targets)
        network.save_weights(tmp_path / "weights")
        return torch.load(tmp_path / "weights", weights_only=True)["weights"]

    def changed_names(before, after):
        return {name for name in before if not torch.equal(before[name], after[name])}

    network.save_weights(tmp_path / "weights")
    first = torch.load(tmp_path / "weights", weights_only=True)["weights"]
    encoder = {name for name in first if name.startswith(ARCHITECTURES[architecture].encoder)}
    network.freeze_encoder(is_frozen=True)
    frozen = learn()
    assert changed_names(first, frozen) == set(first) - encoder
    network.freeze_encoder(is_frozen=False)
    assert changed_names(frozen, learn()) == set(first)


@pytest.mark.parametrize(
    "values",
    [{"optimizer": "sgd"}, {"optimizer": "adamw"}, {"precision": "mixed"}],
    ids=["momentum", "AdamW", "mixed precision"],
)
def test_a_checkpoint_between_two_batches_of_a_step_continues_bit_for_bit(engine, tmp_path, values):
    config = changed(CLASSIFICATION, **values)
    images, targets = batch_for(config)
    straight = engine.build(config)
    straight.train_batch(images, targets)
    straight.train_batch(images[:3], targets[:3], share=0.75, is_step=False)
    straight.save_checkpoint(tmp_path / "last", {})

    resumed = engine.build(changed(config, seed=99))
    resumed.load_checkpoint(tmp_path / "last")

    for network in (straight, resumed):
        network.train_batch(images[3:], targets[3:], share=0.25)
    np.testing.assert_array_equal(resumed.predict_batch(images), straight.predict_batch(images))


def test_devices_that_are_not_there_are_refused(engine):
    assert list(engine.advise(CLASSIFICATION)) == []
    engine.build(changed(CLASSIFICATION, devices="four_gpus"))  # as an inference elsewhere does
    with pytest.raises(JobFailure, match=r"Devices: 4 GPUs asked for, but this worker has .*; choose Auto or CPU"):
        engine.advise(changed(CLASSIFICATION, devices="four_gpus"))


def test_a_file_that_holds_no_weights_is_refused_by_its_name(engine, tmp_path):
    (tmp_path / "best.pt").write_bytes(b"not weights")

    with pytest.raises(JobFailure, match=r"best\.pt cannot be read"):
        engine.build(CLASSIFICATION).load_weights(tmp_path / "best.pt")


def test_a_training_that_diverges_ends_with_advice(engine):
    network, (images, targets) = engine.build(CLASSIFICATION), batch_for(CLASSIFICATION)

    with pytest.raises(JobFailure, match="lower the learning rate"):
        network.train_batch(images * np.float32("inf"), targets)


def test_an_unknown_engine_is_refused_with_those_there_are():
    with pytest.raises(JobFailure, match="There is no engine 'keras'; choose one of torch, eddl"):
        get_engine("keras")


@contextmanager
def a_disk_with_room_for(size):
    """Let no file of this process grow beyond the size in bytes, as on a disk that is full then."""
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)


@pytest.mark.parametrize("part", [0.01, 0.5, 0.9])
def test_where_the_disk_is_full_the_weights_saved_before_stay(engine, tmp_path, part):
    network = engine.build(CLASSIFICATION)
    path = tmp_path / "weights"
    network.save_weights(path)
    before = path.read_bytes()

    with a_disk_with_room_for(int(part * len(before))), pytest.raises(StorageUnavailable, match="cannot be written"):
        network.save_weights(path)

    assert path.read_bytes() == before
    assert list(tmp_path.iterdir()) == [path]
