import pickle

import pytest
from test_engines_contract import CLASSIFICATION

from app.engines import get_engine
from app.errors import JobFailure


class Payload:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a weights file ran')",))


def test_a_pickle_with_code_in_it_is_refused_and_never_run(tmp_path):
    (tmp_path / "best.pt").write_bytes(pickle.dumps({"weights": Payload()}))

    with pytest.raises(JobFailure, match="cannot be read"):
        get_engine("torch").build(CLASSIFICATION).load_weights(tmp_path / "best.pt")
