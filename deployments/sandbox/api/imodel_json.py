"""IModels, changesets and named versions as the API shows them."""

from starlette.requests import Request

from deployments.sandbox.api.responses import JSON, base_url
from deployments.sandbox.clock import seconds
from deployments.sandbox.ids import guid
from deployments.sandbox.state.entities import Changeset, IModel, NamedVersion
from deployments.sandbox.state.identity import IDENTITY


def write_imodel_minimal(_request: Request, imodel: IModel) -> JSON:
    """The short form."""
    return {"id": imodel.id, "displayName": imodel.name}


def write_imodel(request: Request, imodel: IModel) -> JSON:
    """The long form."""
    root = f"{base_url(request)}/imodels/{imodel.id}"
    latest = imodel.latest
    return {
        "id": imodel.id,
        "displayName": imodel.name,
        "dataCenterLocation": "East US",
        "name": imodel.name,
        "description": imodel.description,
        "state": imodel.state,
        "createdDateTime": seconds(imodel.created_at),
        "lastChangesetPushDateTime": seconds(latest.pushed_at) if latest else None,
        "iTwinId": imodel.itwin_id,
        "isSecured": False,
        "extent": _extent(imodel),
        "containersEnabled": 0,
        "_links": {
            "creator": {"href": f"{root}/users/{guid(IDENTITY.user)}"},
            "changesets": {"href": f"{root}/changesets"},
            "namedVersions": {"href": f"{root}/namedversions"},
        },
    }


def _extent(imodel: IModel) -> JSON | None:
    if imodel.extent is None:
        return None
    west, south, east, north = imodel.extent
    return {
        "southWest": {"latitude": south, "longitude": west},
        "northEast": {"latitude": north, "longitude": east},
    }


def write_changeset(request: Request, imodel: IModel, changeset: Changeset, *, long: bool) -> JSON:
    """The short form has all but some links and the application."""
    root = f"{base_url(request)}/imodels/{imodel.id}"
    body: JSON = {
        "id": changeset.id,
        "displayName": str(changeset.index),
        "description": changeset.description,
        "index": changeset.index,
        "parentId": changeset.parent_id,
        "creatorId": guid(IDENTITY.user),
        "pushDateTime": seconds(changeset.pushed_at),
        "state": "fileUploaded",
        "containingChanges": 0,
        "fileSize": 18000 + changeset.index,
        "briefcaseId": 2,
        "groupId": None,
        "_links": {
            "self": {"href": f"{root}/changesets/{changeset.index}"},
            "creator": {"href": f"{root}/users/{guid(IDENTITY.user)}"},
        },
    }
    if long:
        body |= {"application": {"id": "sandbox", "name": "Sandbox"}, "synchronizationInfo": None}
        version = next((v for v in imodel.named_versions if v.changeset_id == changeset.id), None)
        body["_links"] |= {
            "namedVersion": {"href": f"{root}/namedversions/{version.id}"} if version else None,
            "currentOrPrecedingCheckpoint": {"href": f"{root}/changesets/{changeset.index}/checkpoint"},
            "download": None,
        }
    return body


def write_named_version(request: Request, imodel: IModel, version: NamedVersion, *, long: bool) -> JSON:
    """The short form is identity and changeset."""
    body: JSON = {
        "id": version.id,
        "displayName": version.name,
        "changesetId": version.changeset_id,
        "changesetIndex": version.changeset_index,
    }
    if long:
        root = f"{base_url(request)}/imodels/{imodel.id}"
        changeset = {"href": f"{root}/changesets/{version.changeset_id}"} if version.changeset_id else None
        body |= {
            "name": version.name,
            "description": version.description,
            "createdDateTime": seconds(version.created_at),
            "state": version.state,
            "application": None,
            "_links": {"creator": {"href": f"{root}/users/{guid(IDENTITY.user)}"}, "changeset": changeset},
        }
    return body
