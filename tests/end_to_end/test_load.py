"""Many jobs and many clients at once."""

import base64
import io
import re
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from PIL import Image

BEGINS = re.compile(r"begins: .*\[([0-9a-f-]{36})\]")
JOBS = 60


def test_many_jobs_queued_at_once_are_each_run_once(client, service, project, trained):
    stream = io.BytesIO()
    Image.fromarray(np.zeros((12, 14), np.uint8)).save(stream, "PNG")
    data = "data:image/png;base64," + base64.b64encode(stream.getvalue()).decode()
    body = {"modelweights_id": trained["weight_id"], "project_id": project["id"], "image_data": data}

    with ThreadPoolExecutor(8) as clients:
        ids = list(clients.map(lambda _: client.post("/inferenceSingle", body)["process_id"], range(JOBS)))
        polled = list(clients.map(client.wait, ids))

    assert {status["process_state"] for status in polled} == {"finished"}
    outputs = [client.get(f"/output?process_id={process_id}")["outputs"] for process_id in ids]
    assert outputs == [outputs[0]] * JOBS and outputs[0]
    begun = Counter(BEGINS.findall(service.log.read_text()))
    assert {begun[process_id] for process_id in ids} == {1}
