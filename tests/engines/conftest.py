"""Every engine that the service knows; one whose libraries are not installed is skipped, with what it lacks."""

import pytest

from app.engines import ENGINES, get_engine, why_not_installed


def engine_parameter(name):
    reason = why_not_installed(name)
    return pytest.param(name, marks=pytest.mark.skipif(reason is not None, reason=reason or ""))


@pytest.fixture(params=[engine_parameter(name) for name in ENGINES])
def engine(request):
    return get_engine(request.param)
