"""Commands that meet exports in an object store, with credentials of the environment."""

import asyncio
import json
import os
from pathlib import Path

import pytest

from blocks.errors import ConfigurationError
from deployments.cli.app import run
from deployments.cli.doctor.output_folder import check_output
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.seed import SEEDED
from flows.export_ifc import export_ifc
from tests.deployments.cli.test_unchanged import export_again
from tests.object_stores.destinations import of_azurite

pytestmark = [pytest.mark.usefixtures("prefect_server"), pytest.mark.asyncio(loop_scope="session")]


@pytest.fixture
async def output(
    azurite: RunningAzurite, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> str:
    """The address of an export in Azurite, to which the environment leads."""
    del sandbox
    url = of_azurite(azurite).url
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", url)
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "work"))
    monkeypatch.setenv("AZURE_STORAGE_CONNECTION_STRING", azurite.connection_string)
    await export_ifc(SEEDED.bridge)
    return url


async def test_an_unchanged_export_in_a_store_is_reported_without_prefect(
    output: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """The same export again ends with 0 and the report, from another disk, and without an import of Prefect.

    What is published there is listed without Prefect, too.
    """
    for name in [name for name in os.environ if name.startswith("PREFECT_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("ITWIN_WORK_DIR", str(tmp_path / "other"))
    again = await asyncio.to_thread(export_again, tmp_path / "home", SEEDED.bridge)
    assert again.returncode == 0, again.stderr
    report = json.loads(again.stdout)
    assert (report["skipped"], report["output_dir"]) == (True, output)
    assert len(list(sandbox.state.runs)) == 1


async def test_exports_in_a_store_are_listed(output: str, capsys: pytest.CaptureFixture[str]) -> None:
    """The command takes an address, and names the exports by their place below it."""
    assert await asyncio.to_thread(run, ["list", "exports", output, "--json"]) == 0
    assert [row["folder"] for row in json.loads(capsys.readouterr().out)] == [f"{SEEDED.bridge}/ifc"]


async def test_the_doctor_tries_the_store(
    output: str, azurite: RunningAzurite, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The finding says that conditional writes hold; a container that is not there is wrong."""
    said = await check_output("default", is_api_there=False)
    assert said.startswith(f"Exports can be published in {output}, where conditional writes hold.")
    monkeypatch.setenv("ITWIN_OUTPUT_DIR", "az://nowhere/x")
    with pytest.raises(ConfigurationError, match="The container or bucket of az://nowhere/x does not exist"):
        await check_output("default", is_api_there=False)
    assert azurite.key not in said
