"""Where the exports of a fault scenario go: a folder, or an object store that fails at times as well."""

import random
import shutil
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from pydantic import SecretStr

from blocks.storage.destination.stored_records import StoredRecords
from blocks.storage.export_destination import ExportDestination
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.state.seed import SEEDED
from tasks.ifc.run_records import RunRecords
from tasks.options import state_dir_of
from tasks.state_dir import LONGEST_RECORD, StateDir
from tests.flows.test_no_secret_leaks import files_below
from tests.object_stores.destinations import StoreUnderTest, of_azurite, of_xml_store
from tests.object_stores.xml_store import Answer, running_xml_store

Place = Literal["folder", "store"]
STORES = ("az", "s3", "gs")
STORE_FAULTS = (
    Answer(500, "InternalError"),
    Answer(503, "SlowDown"),
    Answer(500, "InternalError", is_done=True),
    Answer(503, "SlowDown", is_done=True),
    Answer(403, "AccessDenied"),
    Answer(507, "InsufficientStorage"),
)
MOST_STORE_FAULTS = 4


@dataclass(frozen=True)
class FolderOutput:
    """A folder on the disk."""

    folder: Path

    @property
    def address(self) -> str:
        """What a flow is given as its output."""
        return str(self.folder)

    @property
    def block_name(self) -> str:
        """Name of the block that the flow loads, if there is one."""
        return "default"

    @property
    def state_dir(self) -> StateDir:
        """Records and unfinished downloads of the iModel."""
        return state_dir_of(self.address, SEEDED.plant)

    @property
    def records(self) -> RunRecords:
        """The notes of its runs."""
        return RunRecords(self.state_dir.runs)

    def block(self) -> ExportDestination | None:
        """The block that is needed, if one is."""
        return None

    def files(self) -> dict[str, bytes]:
        """What readers find in the folder of the IFC files."""
        folder = self.folder / SEEDED.plant / "ifc"
        return {path.name: path.read_bytes() for path in folder.iterdir()} if folder.is_dir() else {}

    def texts(self) -> list[str]:
        """Everything that lies there."""
        return list(files_below(self.folder))

    def lose_machine(self) -> None:
        """Nothing: the folder is all there is."""

    def calm(self) -> None:
        """Nothing fails."""


@dataclass(frozen=True)
class StoreOutput(FolderOutput):
    """An object store; nothing is in the folder."""

    destination: StoreUnderTest
    calmed: Callable[[], None]

    @property
    def address(self) -> str:
        """What a flow is given as its output."""
        return self.destination.url

    @property
    def block_name(self) -> str:
        """Name of the block that opens the store."""
        return f"scenario-{self.destination.url.rpartition('/')[2]}"

    @property
    def records(self) -> RunRecords:
        """The notes of its runs, which lie in the store."""
        key = f"{SEEDED.plant}/.itwin-export/runs"
        return RunRecords(self.state_dir.runs, StoredRecords(self.destination.open(), key, LONGEST_RECORD))

    def block(self) -> ExportDestination:
        """Opens the store."""
        access = self.destination.access
        secrets = {name: SecretStr(value) for name, value in vars(access).items() if value}
        plain = {"endpoint_url": access.endpoint_url, "region": access.region}
        return ExportDestination.model_validate({"url": self.destination.url, **secrets, **plain})

    def files(self) -> dict[str, bytes]:
        """What readers find below the key of the IFC files."""
        prefix = f"{SEEDED.plant}/ifc/"
        return {key.removeprefix(prefix): content for key, content in self._objects().items() if key.startswith(prefix)}

    def texts(self) -> list[str]:
        """Everything in the store and on the machine."""
        work = self.state_dir.root.parent.parent
        return [*files_below(work), *(content.decode("latin-1") for content in self._objects().values())]

    def lose_machine(self) -> None:
        """The next attempt is on a machine with an empty disk."""
        shutil.rmtree(self.state_dir.root.parent, ignore_errors=True)

    def calm(self) -> None:
        """The store fails no more."""
        self.calmed()

    def _objects(self) -> dict[str, bytes]:
        store = self.destination.open()
        opened = {key: store.open(key) for key in store.entries("")}
        return {key: b"".join(found.pieces) for key, found in opened.items() if found}


@dataclass
class StoreFaults:
    """A few faults among the requests to a store, the same for the same seed and order of requests."""

    seed: int
    left: int = MOST_STORE_FAULTS
    chance: random.Random = field(init=False)

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)  # noqa: S311  generated faults are no secret

    def __call__(self, _method: str, _key: str) -> Answer | None:
        """The fault of a request, if it has one."""
        if self.left <= 0 or self.chance.random() > 0.1:
            return None
        self.left -= 1
        return self.chance.choice(STORE_FAULTS)

    def calm(self) -> None:
        """From now on there are none."""
        self.left = 0


@contextmanager
def scenario_output(place: Place, seed: int, folder: Path, azurite: RunningAzurite) -> Generator[FolderOutput]:
    """A separate output for each scenario; the kinds of object store alternate."""
    dialect = STORES[seed % len(STORES)]
    if place == "folder":
        yield FolderOutput(folder)
    elif dialect == "az":
        yield StoreOutput(folder, of_azurite(azurite), lambda: None)
    else:
        faults = StoreFaults(seed)
        with running_xml_store("s3" if dialect == "s3" else "gs") as store:
            store.fault = faults
            yield StoreOutput(folder, of_xml_store(store), faults.calm)
