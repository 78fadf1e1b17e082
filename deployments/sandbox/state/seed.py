"""The state a sandbox starts with: the same names and ids every time."""

from dataclasses import dataclass
from datetime import timedelta

from deployments.sandbox.clock import Clock
from deployments.sandbox.ids import guid
from deployments.sandbox.state.options import Options
from deployments.sandbox.state.sandbox_state import SandboxState

ITWIN_NAME = "Campus"
ITWIN_ID = "fe459af2-e6a0-5cfe-b648-9af1170a2a12"
USER_CONTAINER = "exports"
"""The container of the user's own storage."""


def _imodel_id(name: str) -> str:
    return guid("imodel", ITWIN_ID, name)


@dataclass(frozen=True)
class SeededIds:
    """The ids of the seeded iTwin and its iModels."""

    itwin: str = ITWIN_ID
    plant: str = _imodel_id("Plant A")
    """Five changesets and two named versions: the one to start with."""
    bridge: str = _imodel_id("Bridge")
    """One changeset."""
    baseline: str = _imodel_id("Survey")
    """No changesets."""
    uninitialized: str = _imodel_id("Draft")
    """Not initialized: exports of it fail."""
    stadium: str = _imodel_id("Stadium")
    """Larger: 1500 elements, 600 tiles."""


SEEDED = SeededIds()


def seeded_state(clock: Clock | None = None, options: Options | None = None) -> SandboxState:
    """One iTwin, five iModels, one Storage folder, one blob container."""
    state = SandboxState(clock, options)
    itwin = state.add_itwin(ITWIN_NAME, ITWIN_ID)
    plant = state.add_imodel(itwin.id, "Plant A", changesets=3)
    state.name_version(plant.id, "Issued for review")
    for day in (2, 1):
        state.push_changeset(plant.id, at=state.clock.now() - timedelta(days=day))
    state.name_version(plant.id, "Issued for construction")
    state.add_imodel(itwin.id, "Bridge", changesets=1, elements=80)
    state.add_imodel(itwin.id, "Survey")
    state.add_imodel(itwin.id, "Draft").state = "notInitialized"
    state.add_imodel(itwin.id, "Stadium", changesets=2, elements=1500, tiles=600)
    state.add_folder(itwin.id, "Exports")
    state.blobs.create_container(USER_CONTAINER)
    return state
