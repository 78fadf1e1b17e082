"""Poll the iModels of an iTwin for new changesets or named versions, for machines that a webhook cannot reach.

Requires: an `iTwin Credentials` block, or `ITWIN_CLIENT_ID` and `ITWIN_CLIENT_SECRET` in the environment, and the
folder or object store that exports are published in.
"""

from typing import Annotated

from prefect import flow

from tasks.addresses import read_subject
from tasks.form_fields import OptionalList, OptionalText, titled
from tasks.imodel_events import Watch, announce_change, find_changed
from tasks.load_blocks import load_credentials
from tasks.load_destination import with_destination
from tasks.output_options import OutputOptions


@flow(name="watch-imodels", flow_run_name="watch-{itwin_id}", persist_result=False)
async def watch_imodels(
    itwin_id: Annotated[str, titled("iTwin")],
    imodel_ids: Annotated[OptionalList, titled("iModels")] = None,
    watch: Annotated[Watch, titled("What to watch for")] = "changesets",
    output_dir: Annotated[OptionalText, titled("Folder or address")] = None,
    destination: Annotated[str, titled("Destination")] = "default",
    credentials: Annotated[str, titled("Credentials")] = "default",
) -> list[str]:
    """Compare the iModels of an iTwin with their exports, and emit an event for each change.

    The event starts the deployment export-ifc/on-changes, as a webhook does.

    Args:
        itwin_id: The iTwin: its id, its name, or its address in the browser.
        imodel_ids: Watch only these iModels, by id, name or address; empty for all of the iTwin.
        watch: Whether the latest changesets are to be exported, or what is named: versions named since the last export.
        output_dir: Folder or object store of the exports, as /data/exports or az://container/prefix; empty for that of
            the destination, else ITWIN_OUTPUT_DIR.
        destination: Name of an Export Destination block, with what its object store needs.
        credentials: Name of an iTwin Credentials block.
    """
    output = await with_destination(OutputOptions.check(output_dir=output_dir, destination=destination))
    itwin = await load_credentials(credentials)
    changed = await find_changed(itwin, read_subject(itwin_id, "iTwin"), imodel_ids, output, watch)
    for change in changed:
        await announce_change(change)
    return sorted({change.imodel_id for change in changed})
