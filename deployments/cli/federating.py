"""`itwin-export federate`: one tileset for a whole iTwin."""

from typing import Annotated

from cyclopts import Parameter

from blocks.itwin.apis import ItwinApis
from blocks.storage.site.placements import Placements, read_placements
from deployments.cli.platform_access import with_platform
from deployments.cli.stored_output import opened_output
from deployments.cli.tables import print_federation
from deployments.output_streams import write_json
from tasks.addresses import is_id, read_subject
from tasks.federation import Site, site_place
from tasks.federation import federate as publish_common_tileset
from tasks.names import find_itwin
from tasks.reports import FederationReport


def federate(
    itwin_id: str,
    *,
    placements: str | None = None,
    output_dir: str | None = None,
    destination: str = "default",
    credentials: str = "default",
    json: Annotated[bool, Parameter(negative="")] = False,
) -> None:
    """Publish one tileset for a whole iTwin, which refers to the published tilesets of its iModels.

    Args:
        itwin_id: The iTwin: its id, its name, as Campus, or its address in the browser.
        placements: Table (CSV or TOML) with id, longitude, latitude, height and heading of iModels that do not say
            where on the Earth they stand.
        output_dir: Folder of the exports, or their address in an object store; default: that of the destination, else
            ITWIN_OUTPUT_DIR.
        destination: Name of a saved Export Destination block, for an object store.
        credentials: Name of a saved iTwin Credentials block.
        json: Print the report as one JSON document.
    """
    subject = read_subject(itwin_id, "iTwin")
    places: Placements = read_placements(placements) if placements else {}

    output = opened_output(output_dir, destination)

    async def work(apis: ItwinApis) -> FederationReport:
        found = None if is_id(subject) else await find_itwin(apis, subject)
        key, name = (found.id.lower(), found.display_name) if found else (subject, "")
        return await publish_common_tileset(apis, Site(key, name, site_place(output, key), places))

    report = with_platform(credentials, work)
    if json:
        write_json(report.model_dump_json())
    else:
        print_federation(report)
