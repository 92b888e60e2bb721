"""What the clients of `benchmarks/api.py` do, for locust; the ids that they ask for come from the environment."""

import os
import random

from locust import FastHttpUser, constant_pacing, task

PROCESS_IDS = os.environ["BENCH_PROCESS_IDS"].split(",")
MODEL_ID, WEIGHTS_ID = os.environ["BENCH_MODEL_ID"], os.environ["BENCH_WEIGHTS_ID"]


class Person(FastHttpUser):
    """One who has the toolkit's page open: it polls the status and now and then reads something else."""

    wait_time = constant_pacing(1)  # a request each second, as long as it is answered faster

    @task(6)
    def status(self) -> None:
        self.client.get(f"/backend/status?process_id={random.choice(PROCESS_IDS)}", name="/status")

    @task
    def projects(self) -> None:
        self.client.get("/backend/projects", name="/projects")

    @task
    def weights(self) -> None:
        self.client.get(f"/backend/weights?model_id={MODEL_ID}", name="/weights")

    @task
    def training_settings(self) -> None:
        self.client.get(f"/backend/trainingSettings?modelweights_id={WEIGHTS_ID}", name="/trainingSettings")

    @task
    def properties(self) -> None:
        self.client.get("/backend/properties", name="/properties")
