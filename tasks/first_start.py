"""When a flow run first started, the same in every attempt."""

from datetime import datetime

from prefect import task
from prefect.cache_policies import INPUTS, RUN_ID


@task(cache_policy=INPUTS - "now" + RUN_ID, persist_result=True, result_serializer="json")
async def record_first_start(subject: str, now: datetime) -> datetime:  # noqa: ARG001  part of the key
    """When this flow run first looked at what is there, by the platform's clock: what is younger than that serves it.

    The same in every attempt.
    """
    return now
