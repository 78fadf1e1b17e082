"""Each variant of a choice that the documents leave open."""

import json

import httpx
import pytest

from deployments.sandbox.ids import guid
from deployments.sandbox.state.identity import IDENTITY
from deployments.sandbox.state.sandbox_state import SandboxState
from deployments.sandbox.state.seed import SEEDED
from deployments.sandbox.state.webhooks import Webhook
from tests.deployments.sandbox.caller import JSON, Caller
from tests.deployments.sandbox.conftest import SERVICE

FULL = {"Prefer": "return=representation"}
VENDOR = "application/vnd.bentley.itwin-platform.v1+json"
UNKNOWN = {"mappingFileId": "0" * 40}


async def mesh_request(service: Caller, export_type: str | None = None) -> JSON:
    await service.get(f"/mesh-export?iModelId={SEEDED.plant}")
    query = {"iModelId": SEEDED.plant} | ({"exportType": export_type} if export_type else {})
    body: JSON = (await service.get("/mesh-export", params=query, headers=FULL)).json()["exports"][0]["request"]
    return body


async def test_accept_may_be_required(service: Caller, state: SandboxState) -> None:
    """Without the vendor's media type 406, with it the answer."""
    state.options.accept = "required"
    path = f"/imodels/{SEEDED.plant}"
    assert (await service.get(path)).status_code == 406
    assert (await service.get(path, headers={"Accept": VENDOR})).status_code == 200


async def test_content_type_may_be_the_vendors(service: Caller, state: SandboxState) -> None:
    """The media type that was asked for comes back, on errors as well."""
    state.options.content_type = "vendor"
    for path in (f"/imodels/{SEEDED.plant}", "/imodels/x"):
        answer = await service.get(path, headers={"Accept": VENDOR})
        assert answer.headers["Content-Type"] == VENDOR


@pytest.mark.parametrize(("asked", "spelled"), [(None, "3DTiles"), ("3DTILES", "3DTILES"), ("3dtiles", "3dtiles")])
async def test_export_type_is_spelled_as_asked(service: Caller, asked: str | None, spelled: str) -> None:
    """CesiumJS and iTwin.js compare it letter by letter."""
    assert (await mesh_request(service, asked))["exportType"] == spelled


async def test_export_type_may_be_spelled_otherwise(service: Caller, state: SandboxState) -> None:
    """Whatever was asked, one fixed spelling."""
    state.options.mesh_export_type = "3DTILES"
    assert (await mesh_request(service, "3DTiles"))["exportType"] == "3DTILES"


async def test_itwin_of_a_mesh_has_two_names(service: Caller, state: SandboxState) -> None:
    """ITwinId or contextId, never both."""
    assert (await mesh_request(service))["iTwinId"] == SEEDED.itwin
    state.options.mesh_itwin_member = "contextId"
    body = await mesh_request(service)
    assert (body["contextId"], "iTwinId" in body) == (SEEDED.itwin, False)


async def test_mesh_dates_have_two_precisions(service: Caller, state: SandboxState) -> None:
    """Whole seconds, or milliseconds."""
    path = f"/mesh-export?iModelId={SEEDED.plant}"
    await service.get(path)
    lengths: list[int] = []
    for precision in ("seconds", "milliseconds"):
        state.options.mesh_dates = "milliseconds" if precision == "milliseconds" else "seconds"
        lengths.append(len((await service.get(path)).json()["exports"][0]["lastModified"]))
    assert lengths == [20, 24]


async def test_empty_changeset_may_mean_the_baseline(service: Caller, state: SandboxState) -> None:
    """`changesetId=` filters nothing, or everything but the baseline."""
    await mesh_request(service)
    path = f"/mesh-export?iModelId={SEEDED.plant}&changesetId="
    assert len((await service.get(path)).json()["exports"]) == 1
    state.options.empty_changeset_filter = "baseline"
    assert (await service.get(path)).json()["exports"] == []


async def test_type_filter_may_be_ignored(service: Caller, state: SandboxState) -> None:
    """A list filtered by type then holds other types."""
    await mesh_request(service)
    path = f"/mesh-export?iModelId={SEEDED.plant}&exportType=CESIUM"
    assert (await service.get(path)).json()["exports"] == []
    state.options.export_type_filter = "ignored"
    assert len((await service.get(path)).json()["exports"]) == 2


async def test_cdn_links_may_be_listed(service: Caller, anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """With the option a link of cdn=1 lists, too."""
    state.options.cdn_listing = True
    await mesh_request(service)
    state.clock.advance(60)
    path = f"/mesh-export?iModelId={SEEDED.plant}&cdn=1"
    link = (await service.get(path, headers=FULL)).json()["exports"][0]["_links"]["mesh"]["href"]
    assert (await anybody.get(f"{link}&restype=container&comp=list")).status_code == 200


async def test_unknown_mapping_file_has_three_outcomes(service: Caller, state: SandboxState) -> None:
    """A run that ends in Error, ignored, or refused."""
    assert (await service.export(inputOptions=UNKNOWN))["result"] == "Error"
    state.options.mapping_file = "ignored"
    assert (await service.export(inputOptions=UNKNOWN))["result"] == "Success"
    state.options.mapping_file = "refused"
    refused = await service.start(await service.connect(), inputOptions=UNKNOWN)
    assert refused.json()["error"]["details"][0]["target"] == "mappingFileId"


async def test_two_mapping_files_may_be_refused(service: Caller, state: SandboxState) -> None:
    """Id and blob URL together are fine, or 422."""
    both = UNKNOWN | {"mappingfileBlobUrl": "https://acct.blob.example/c/m.json?sig=x"}
    state.options.two_mapping_files = "refused"
    assert (await service.start(await service.connect(), inputOptions=both)).status_code == 422
    state.options.two_mapping_files = "accepted"
    assert (await service.start(await service.connect(), inputOptions=both)).status_code == 202


async def test_pdf_may_refuse_an_ifc_version(service: Caller, state: SandboxState) -> None:
    """`ifcVersion` of a PDF run does nothing, or is 422."""
    connection = await service.connect()
    body = {"exportType": "PDF", "ifcVersion": "IFC4.3"}
    state.options.pdf_ifc_version = "refused"
    assert (await service.start(connection, **body)).status_code == 422
    state.options.pdf_ifc_version = "ignored"
    assert (await service.start(connection, **body)).status_code == 202


async def test_default_ifc_version_can_be_another(service: Caller, state: SandboxState) -> None:
    """A run that names no version gets this one."""
    state.options.default_ifc_version = "IFC2x3"
    run = await service.export()
    content = await service.download(run["jobs"][0]["tasks"][0]["exportOutputFileId"])
    assert b"FILE_SCHEMA(('IFC2X3'))" in content


async def test_file_names_may_repeat(service: Caller, state: SandboxState) -> None:
    """A further file is numbered, or has the same name."""
    state.options.file_names = "same"
    for _ in range(2):
        await service.export()
    assert [item.name for item in state.items.values() if item.type == "file"] == ["Plant A.ifc"] * 2


async def test_young_run_may_lack_jobs(service: Caller, state: SandboxState) -> None:
    """An empty list, or no member."""
    started = await service.start(await service.connect())
    assert (await service.get(started.headers["Location"])).json()["run"]["jobs"] == []
    state.options.young_run_jobs = "absent"
    assert "jobs" not in (await service.get(started.headers["Location"])).json()["run"]


async def test_connections_may_be_private(service: Caller, user: Caller, state: SandboxState) -> None:
    """Everybody's, or only the caller's own."""
    await service.connect()
    path = f"/export/connections?imodelId={SEEDED.plant}"
    assert len((await user.get(path)).json()["connections"]) == 1
    state.options.connections_visible = "own"
    assert (await user.get(path)).json()["connections"] == []
    assert len((await service.get(path)).json()["connections"]) == 1


async def test_authorization_may_be_for_users_only(service: Caller, user: Caller, state: SandboxState) -> None:
    """A service application gets an answer, or 403."""
    state.options.service_authorization = "forbidden"
    path = "/export/authorizationinformation?redirectUrl=http://localhost/"
    assert (await service.get(path)).status_code == 403
    assert (await user.get(path)).status_code == 200


async def test_denied_storage_has_two_answers(service: Caller, state: SandboxState) -> None:
    """404, or 403."""
    root = state.itwins[SEEDED.itwin].root_folder_id
    state.denied.add(SEEDED.itwin)
    assert (await service.get(f"/storage/folders/{root}")).status_code == 404
    state.options.storage_denied = "forbidden"
    assert (await service.get(f"/storage/folders/{root}")).status_code == 403


async def test_search_may_stay_in_its_folder(service: Caller, state: SandboxState) -> None:
    """Sub-folders are searched, or not."""
    root = state.itwins[SEEDED.itwin].root_folder_id
    state.add_file(state.add_folder(SEEDED.itwin, "Deep").id, "x.ifc", b"")
    path = f"/storage/folders/{root}/search?name=*.ifc"
    assert len((await service.get(path)).json()["items"]) == 1
    state.options.storage_search = "folder"
    assert (await service.get(path)).json()["items"] == []


async def test_pages_have_other_sizes(service: Caller, state: SandboxState) -> None:
    """Storage and iTwins page by these sizes when no $top is given."""
    state.options.storage_page = state.options.itwins_page = 1
    state.add_itwin("Other")
    state.add_folder(SEEDED.itwin, "Another")
    for path in (f"/storage?iTwinId={SEEDED.itwin}", "/itwins"):
        assert "next" in (await service.get(path)).json()["_links"]


async def test_named_version_state_may_be_ignored(service: Caller, state: SandboxState) -> None:
    """The parameter filters, or does nothing."""
    state.imodels[SEEDED.plant].named_versions[0].state = "hidden"
    path = f"/imodels/{SEEDED.plant}/namedversions?state=hidden"
    assert len((await service.get(path)).json()["namedVersions"]) == 1
    state.options.named_version_state = "ignored"
    assert len((await service.get(path)).json()["namedVersions"]) == 2


async def test_limit_has_the_code_of_its_page(service: Caller, state: SandboxState) -> None:
    """Create connection, list connections and get run say TooManyRequests, everything else RateLimitExceeded."""
    connection = await service.connect()
    state.options.requests_per_minute = 0
    runs = f"/export/connections/{connection}/runs"
    asked = [
        ("GET", "/export/connections"),
        ("POST", "/export/connections"),
        ("GET", f"{runs}/{guid('any')}"),
        ("GET", runs),
        ("POST", runs),
        ("GET", "/imodels"),
    ]
    codes = [(await service.request(method, path)).json()["error"]["code"] for method, path in asked]
    assert codes == ["TooManyRequests"] * 3 + ["RateLimitExceeded"] * 3


async def test_reused_refresh_token_may_revoke_its_family(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """A used token is refused, and with the option its successors are, too."""

    async def refresh(token: str) -> httpx.Response:
        form = {"grant_type": "refresh_token", "client_id": IDENTITY.native.id, "refresh_token": token}
        return await anybody.post("/connect/token", data=form)

    state.options.refresh_reuse = "revokes-family"
    second = (await refresh(IDENTITY.refresh_token)).json()["refresh_token"]
    third = (await refresh(second)).json()["refresh_token"]
    assert (await refresh(IDENTITY.refresh_token)).status_code == 400
    assert (await refresh(third)).status_code == 400


async def test_refresh_token_may_die_of_disuse(anybody: httpx.AsyncClient, state: SandboxState) -> None:
    """After the idle lifetime a refresh token is an invalid_grant."""
    state.options.refresh_idle_seconds = 60
    token = state.tokens.mint_refresh_token(SERVICE)
    form = {"grant_type": "refresh_token", "client_id": IDENTITY.service.id, "refresh_token": token}
    state.clock.advance(61)
    answer = await anybody.post("/connect/token", data=form | {"client_secret": IDENTITY.service.secret})
    assert answer.json()["error"] == "invalid_grant"


async def test_event_may_name_the_imodel_only(state: SandboxState) -> None:
    """The members of changesReady are uncertain: with the option only `imodelId` is there."""
    state.options.changes_ready_content = "imodel-only"
    now = state.clock.now()
    event = "iModels.changesReady.v1"
    hook = Webhook("hook", SERVICE.client_id, "http://127.0.0.1:9", "Account", None, "x" * 32, [event], now, now)
    hook.active = True
    state.webhooks.known[hook.id] = hook
    state.options.webhook_attempts = 1
    state.push_changeset(SEEDED.plant)
    state.webhooks.close()
    assert json.loads(state.webhooks.deliveries[0].body)["content"] == {"imodelId": SEEDED.plant}
