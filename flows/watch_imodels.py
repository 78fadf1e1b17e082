"""Poll the iModels of an iTwin for new changesets, for machines that a webhook cannot reach.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment, and the
folder that exports are published in.
"""

from typing import Annotated

from prefect import flow

from tasks.addresses import read_subject
from tasks.form_fields import OptionalText, titled
from tasks.imodel_events import announce_change, find_changed
from tasks.load_blocks import load_credentials


@flow(name="watch-imodels", flow_run_name="watch-{itwin_id}", persist_result=False)
async def watch_imodels(
    itwin_id: Annotated[str, titled("iTwin")],
    imodel_ids: Annotated[list[str] | None, titled("iModels")] = None,
    output_dir: Annotated[OptionalText, titled("Local folder")] = None,
    credentials: Annotated[str, titled("Credentials")] = "default",
) -> list[str]:
    """Compare the iModels of an iTwin with their exports, and emit an event for each changed iModel.

    The event starts the deployment export-ifc/on-changes, as a webhook does.

    Args:
        itwin_id: Id of the iTwin (a GUID); it stands in the iTwin's address in the browser.
        imodel_ids: Watch only these iModels; empty for all of the iTwin.
        output_dir: Local folder of the exports; empty for ITWIN_OUTPUT_DIR.
        credentials: Name of an iTwin Credentials block.
    """
    itwin = await load_credentials(credentials)
    changed = await find_changed(itwin, read_subject(itwin_id, "iTwin"), imodel_ids, output_dir)
    for imodel_id, changeset_id in changed.items():
        await announce_change(imodel_id, changeset_id)
    return sorted(changed)
