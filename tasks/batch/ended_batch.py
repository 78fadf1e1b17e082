"""Write the page of a batch whose flow run was cancelled or has crashed."""

import asyncio
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import FlowRun, State
from prefect.flows import FlowStateHook

from tasks.addresses import read_subject
from tasks.artifacts import how_it_ended, show_page_of
from tasks.batch.page import ended_batch_page
from tasks.batch.unfinished_batch import NameRemoteRun, read_unfinished
from tasks.export_progress import artifact_key
from tasks.flow_run_facts import facts_of
from tasks.output_place import check_output_dir


def report_ended_batch(name_remote_run: NameRemoteRun) -> FlowStateHook[..., Any]:
    """A hook of the flow for Cancelled and Crashed; it writes what was published and what goes on at the platform."""

    async def report_ended(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:
        asked = flow_run.parameters
        itwin, output_dir = read_subject(asked.get("itwin_id"), "iTwin"), check_output_dir(asked.get("output_dir"))
        batch = await asyncio.to_thread(read_unfinished, output_dir, str(flow_run.id), itwin, name_remote_run)
        how = how_it_ended(state)
        page = ended_batch_page(how, batch, facts_of(flow, flow_run, asked), output_dir)
        key = artifact_key("itwin", batch.begun.itwin_id)
        await show_page_of(flow_run, page, key=key, description=how.removeprefix("was ").capitalize())

    return report_ended
