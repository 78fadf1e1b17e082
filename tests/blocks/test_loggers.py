"""The loggers of the HTTP and storage libraries do not write URLs with signatures."""

import logging

import aiohttp
import httpx
import pytest
from azure.storage.blob import BlobClient

from blocks import LOGGERS_OF_LIBRARIES
from deployments.sandbox.server import RunningSandbox


async def test_signatures_stay_out_of_debug_logs(sandbox: RunningSandbox, caplog: pytest.LogCaptureFixture) -> None:
    """With the root logger at DEBUG, requests of httpx, aiohttp and Azure leave no line and no signature in the log."""
    caplog.set_level(logging.DEBUG)
    sandbox.state.blobs.put("mine", "model.ifc", b"ISO-10303-21;")
    url = sandbox.signed_url("mine", "model.ifc", permissions="r")
    async with httpx.AsyncClient(timeout=60) as client:
        (await client.get(url)).raise_for_status()
    with BlobClient.from_blob_url(url) as blob:
        blob.download_blob().readall()
    async with aiohttp.ClientSession() as session, session.get(url) as answer:
        assert answer.status == 200
    logged = {record.name.partition(".")[0] for record in caplog.records}
    assert not logged & set(LOGGERS_OF_LIBRARIES)
    assert "sig=" not in caplog.text
