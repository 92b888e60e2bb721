"""Processes of their own for tests, forked from a program that has imported once what takes seconds to import.

Workers start their jobs so. There is one such program for the session, whoever asks first.
"""

import multiprocessing

CONTEXT = multiprocessing.get_context("forkserver")
CONTEXT.set_forkserver_preload(
    [
        "app.engines.torch_engine.engine",
        "app.jobs.datasets.job",
        "app.jobs.training.job",
        "app.datasets.probe",
        "pydicom.pixels",
        "nibabel",
        "openslide",
    ]
)
