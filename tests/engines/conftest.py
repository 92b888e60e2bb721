"""Every engine that the service knows; one whose libraries are not installed is skipped, with what it lacks."""

import pytest
from tried_engines import TriedEngine, engine_parameter

from app.engines import ENGINES, get_engine


@pytest.fixture(params=[engine_parameter(name) for name in ENGINES])
def engine(request):
    return TriedEngine(get_engine(request.param))
