"""Files that say which export run a flow run follows; `tasks.ifc.run_heartbeat` writes them and keeps them fresh."""

import time
from pathlib import Path

from pydantic import BaseModel, ConfigDict

from tasks.state_dir import StateDir, is_id, read_record

STALE_AFTER_SECONDS = 150.0


class FollowedRun(BaseModel):
    """The export run a flow run waits for; `is_finished` once it has ended well and is being fetched.

    `is_released` while the flow run is suspended: it has no process that could send heartbeats.

    Earlier releases noted neither the name of the iModel nor the changeset.
    """

    model_config = ConfigDict(frozen=True)

    connection_id: str
    run_id: str
    is_finished: bool = False
    is_released: bool = False
    imodel_name: str = ""
    changeset_id: str | None = None


def is_stale(state_dir: StateDir, flow_run_id: str) -> bool:
    """True if the heartbeat file of a flow run exists, is older than 150 s, and the flow run has a process."""
    path = state_dir.followed(flow_run_id)
    try:
        last = path.lstat().st_mtime
    except OSError:
        return False
    is_old = time.time() - last > STALE_AFTER_SECONDS
    return is_old and not ((followed := read_followed(path)) and followed.is_released)


def followers_of(state_dir: StateDir) -> dict[str, list[str]]:
    """The flow runs that follow each export run of an iModel, by the id of the export run; stale ones are left out."""
    followers: dict[str, list[str]] = {}
    for path in sorted(state_dir.followed("x").parent.glob("*.json")):
        followed = read_followed(path)
        if followed is not None and not is_stale(state_dir, path.stem):
            followers.setdefault(followed.run_id, []).append(path.stem)
    return followers


def read_followed(path: Path) -> FollowedRun | None:
    """What the file says; None if it is not there or cannot be one of ours."""
    followed = read_record(path, FollowedRun)
    return followed if followed and is_id(followed.connection_id) and is_id(followed.run_id) else None
