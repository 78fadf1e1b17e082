"""The calls that an IFC export needs, written with httpx from the platform's documentation; every peer uses them.

Nothing is checked but the status, and a file appears under its name when it is whole.
"""

import os
from pathlib import Path
from typing import Any

import httpx

V1 = {"Accept": "application/vnd.bentley.itwin-platform.v1+json"}
V2 = {"Accept": "application/vnd.bentley.itwin-platform.v2+json"}
NAME = "nightly IFC"


def sign_in() -> httpx.Client:
    """A client with the token of the service application."""
    form = {
        "grant_type": "client_credentials",
        "client_id": os.environ["ITWIN_CLIENT_ID"],
        "client_secret": os.environ["ITWIN_CLIENT_SECRET"],
        "scope": "itwin-platform",
    }
    answer = httpx.post(f"{os.environ['ITWIN_ISSUER_URL']}/connect/token", data=form).raise_for_status()
    headers = {**V1, "Authorization": f"Bearer {answer.json()['access_token']}"}
    return httpx.Client(base_url=os.environ["ITWIN_API_URL"], headers=headers, timeout=30)


def find_changeset(http: httpx.Client, imodel_id: str) -> str:
    """The id of the latest changeset; empty for the baseline."""
    latest = {"$top": 1, "$orderBy": "index desc"}
    answer = http.get(f"/imodels/{imodel_id}/changesets", params=latest, headers=V2).raise_for_status()
    return next((changeset["id"] for changeset in answer.json()["changesets"]), "")


def find_connection(http: httpx.Client, imodel_id: str) -> str:
    """The id of our export connection, which is created if there is none."""
    answer = http.get("/export/connections", params={"imodelId": imodel_id}).raise_for_status()
    for connection in answer.json()["connections"]:
        if connection["displayName"] == NAME:
            return connection["id"]
    body = {"iModelId": imodel_id, "displayName": NAME, "authenticationType": "Service"}
    return http.post("/export/connections", json=body).raise_for_status().json()["connection"]["id"]


def start_run(http: httpx.Client, connection_id: str, changeset_id: str) -> str:
    """The path of the run that was started, or of the one that is active (303)."""
    body = {
        "exportType": "IFC",
        "ifcVersion": "IFC4.3",
        "inputOptions": {"changesetId": changeset_id} if changeset_id else {},
        "outputOptions": {"location": "STORAGE", "replaceOlderFile": True, "saveLogs": True},
    }
    answer = http.post(f"/export/connections/{connection_id}/runs", json=body)
    if not answer.has_redirect_location:
        answer.raise_for_status()
    return httpx.URL(answer.headers["Location"]).path


def read_run(http: httpx.Client, path: str) -> dict[str, Any] | None:
    """The run once it has ended well; None while it goes on."""
    run = http.get(path).raise_for_status().json()["run"]
    if run["state"] != "Completed":
        return None
    if run["result"] != "Success":
        raise RuntimeError(f"The export run ended with {run['result']}.")
    return run


def fetch(http: httpx.Client, run: dict[str, Any], folder: Path) -> list[Path]:
    """Download the IFC file that the run names and the log beside it."""
    folder.mkdir(parents=True, exist_ok=True)
    model_id = run["jobs"][0]["tasks"][0]["exportOutputFileId"]
    model = http.get(f"/storage/files/{model_id}").raise_for_status().json()["file"]
    parent = model["_links"]["parentFolder"]["href"].rpartition("/")[2]
    pattern = {"name": f"{Path(model['displayName']).stem}*.log"}
    logs = http.get(f"/storage/folders/{parent}/search", params=pattern).raise_for_status().json()["items"]
    return [_download(http, file["id"], folder / file["displayName"]) for file in [model, *logs]]


def _download(http: httpx.Client, file_id: str, target: Path) -> Path:
    part = target.with_name(f"{target.name}.part")
    link = http.get(f"/storage/files/{file_id}/download").headers["Location"]
    with httpx.stream("GET", link) as answer, part.open("wb") as file:
        answer.raise_for_status()
        for piece in answer.iter_bytes():
            file.write(piece)
    return part.replace(target)
