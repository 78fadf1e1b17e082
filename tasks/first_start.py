"""The time at which a flow run first started, the same in every attempt."""

from datetime import datetime

from prefect import task
from prefect.cache_policies import INPUTS, RUN_ID


@task(cache_policy=INPUTS - "now" + RUN_ID, persist_result=True, result_serializer="json")
async def record_first_start(subject: str, now: datetime) -> datetime:  # noqa: ARG001  part of the key
    """The platform's time when this flow run first read what is published; retries get the value of the first attempt.

    Runs and mesh exports that started later can serve this flow run.
    """
    return now
