"""An engine under test, and what is no promise of it."""

from dataclasses import replace

import pytest

from app.engines import engine_faults, why_not_installed

# Networks that look at all samples of a batch at once, so that a batch in parts is another one.
NORMALISED_BY_BATCH = {"torch": frozenset(), "eddl": frozenset({"unet", "segnet", "resnet50"})}


def engine_parameter(name):
    reason = why_not_installed(name)
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=reason or ""))


class TriedEngine:
    """An engine; what it says that it cannot do is skipped, in its own words."""

    def __init__(self, engine):
        self._engine = engine

    def __getattr__(self, name):
        return getattr(self._engine, name)

    def build(self, config, graph=None):
        own = replace(config, engine=self.name)
        for fault in engine_faults(own).values():
            pytest.skip(fault)
        return self._engine.build(own, graph)


def skip_where_batches_are_one(engine, config):
    """Skip what is about the parts of a batch, where samples do not count by themselves."""
    if config.architecture in NORMALISED_BY_BATCH[engine.name]:
        pytest.skip(f"{config.architecture} of {engine.name} normalises over the samples of a batch")
