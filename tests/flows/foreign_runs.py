"""Export runs that somebody else starts at the stand-in platform."""

from blocks.itwin.api.exports import RunInput, RunOutput
from blocks.itwin.credentials import ItwinCredentials
from blocks.settings import read_settings
from deployments.sandbox.server import RunningSandbox


def credentials() -> ItwinCredentials:
    """Those of the environment."""
    return ItwinCredentials.from_settings(read_settings())


async def start_elsewhere(sandbox: RunningSandbox, imodel_id: str, *, name: str = "somebody else's") -> str:
    """Somebody starts a run of the oldest changeset; the id of the run."""
    oldest = sandbox.state.imodels[imodel_id].changesets[0].id
    async with credentials().get_client() as itwin:
        made = await itwin.exports.create_connection(imodel_id, display_name=name, authentication_type="Service")
        return (await itwin.exports.create_run(made.id, RunInput("IFC4.3", oldest), RunOutput("STORAGE"))).run_id
