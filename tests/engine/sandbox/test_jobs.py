"""The table of jobs names functions that exist, and confines what reads untrusted text."""

from importlib import import_module

import pytest

from homeiq_engine.jobs import JOBS, Job


@pytest.mark.parametrize("job", JOBS.values(), ids=JOBS.keys())
def test_every_job_names_a_function_of_the_engine(job: Job) -> None:
    module, _, function = job.target.partition(":")
    assert callable(getattr(import_module(module, "homeiq_engine"), function))


def test_untrusted_text_is_read_by_a_confined_child() -> None:
    assert JOBS["read_automation"].confined
