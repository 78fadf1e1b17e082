"""Inserts a DAG run with so many deferred task instances into Airflow's database: `deferred_rows.py COUNT`.

The DAG is in the database already. Each gets its trigger row as the execution API writes it when a task defers itself.
"""

import json
import sys

from airflow.models.dag_version import DagVersion
from airflow.models.dagbag import DBDagBag
from airflow.models.taskinstance import TaskInstance
from airflow.models.trigger import Trigger
from airflow.utils.session import create_session
from airflow.utils.state import DagRunState, TaskInstanceState
from airflow.utils.types import DagRunTriggeredByType, DagRunType
from pendulum import now
from waiting_dag import RunTrigger


def trigger_row(number: int) -> Trigger:
    """A trigger that nobody runs yet."""
    classpath, kwargs = RunTrigger(f"/runs/{number}").serialize()
    row = Trigger(classpath=classpath, kwargs={})
    row.encrypted_kwargs = json.dumps(kwargs)
    return row


def main(count: int) -> None:
    """Write them all in one transaction."""
    with create_session() as session:
        dag = DBDagBag().get_latest_version_of_dag("wait_for_exports", session=session)
        version = DagVersion.get_latest_version("wait_for_exports", session=session)
        run = dag.create_dagrun(
            run_id="manual__1",
            run_after=now("UTC"),
            run_type=DagRunType.MANUAL,
            triggered_by=DagRunTriggeredByType.CLI,
            state=DagRunState.RUNNING,
            start_date=now("UTC"),
            session=session,
        )
        first = run.get_task_instance("wait", session=session)
        run.get_task_instance("start_exports", session=session).state = TaskInstanceState.SUCCESS
        task = dag.get_task("wait")
        for number in range(count):
            one = first if number == 0 else TaskInstance(task, version.id, run.run_id, map_index=number)
            one.map_index, one.try_number, one.start_date = number, 1, now("UTC")
            one.trigger = trigger_row(number)
            one.state, one.next_method, one.next_kwargs = TaskInstanceState.DEFERRED, "execute_complete", {}
            session.add(one)


if __name__ == "__main__":
    main(int(sys.argv[1]))
