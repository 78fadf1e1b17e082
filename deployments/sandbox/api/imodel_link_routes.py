"""What links of the iModels API lead to besides changesets and named versions: users and checkpoints.

The sandbox makes no checkpoints: those links answer 404 CheckpointNotFound, as the platform does before it made one.
https://developer.bentley.com/apis/imodels-v2/operations/
"""

from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Route

from deployments.sandbox.api.imodels_routes import find_changeset, find_imodel, find_named_version
from deployments.sandbox.api.responses import RefusedError, base_url
from deployments.sandbox.ids import guid
from deployments.sandbox.state.identity import IDENTITY

_BASELINE = "0"


async def get_user(request: Request) -> JSONResponse:
    """The one who pushed every changeset and named every version."""
    imodel = find_imodel(request)
    user_id = guid(IDENTITY.user)
    if request.path_params["user_id"] != user_id:
        raise RefusedError(404, "UserNotFound", "User is not available.")
    first, _, last = IDENTITY.user_name.partition(" ")
    body = {
        "id": user_id,
        "displayName": IDENTITY.user_email,
        "givenName": first,
        "surname": last,
        "email": IDENTITY.user_email,
        "statistics": {"pushedChangesetsCount": len(imodel.changesets)},
        "_links": {"self": {"href": f"{base_url(request)}/imodels/{imodel.id}/users/{user_id}"}},
    }
    return JSONResponse({"user": body})


async def changeset_checkpoint(request: Request) -> JSONResponse:
    """None; index 0 is the baseline."""
    if request.path_params["key"] == _BASELINE:
        find_imodel(request)
    else:
        find_changeset(request)
    raise _no_checkpoint()


async def named_version_checkpoint(request: Request) -> JSONResponse:
    """None."""
    find_named_version(request)
    raise _no_checkpoint()


async def latest_checkpoint(request: Request) -> JSONResponse:
    """None."""
    find_imodel(request)
    raise _no_checkpoint()


def _no_checkpoint() -> RefusedError:
    return RefusedError(404, "CheckpointNotFound", "Checkpoint is not available.")


_ONE = "/imodels/{imodel_id}"
ROUTES = [
    Route(f"{_ONE}/users/{{user_id}}", get_user),
    Route(f"{_ONE}/changesets/{{key}}/checkpoint", changeset_checkpoint),
    Route(f"{_ONE}/namedversions/{{version_id}}/checkpoint", named_version_checkpoint),
    Route(f"{_ONE}/briefcases/checkpoint", latest_checkpoint),
]
