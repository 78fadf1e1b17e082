"""Runs exports: each finishes when its time has come and delivers its output."""

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import httpx

from deployments.sandbox.content.mapping import BadMappingError, read_mapping
from deployments.sandbox.ids import guid, output_guid
from deployments.sandbox.state.entities import Connection, IModel, Outcome, Run, StorageItem
from deployments.sandbox.state.sandbox_state import FILES, SandboxState

_CLOCK_INTERVAL = 1.0
"""Seconds between two reads of the clock, which a test may move on."""
_DELIVERY_WAIT = 0.5
"""Seconds a poll waits for a delivery that is due."""
_PDF = b"%PDF-1.4\n1 0 obj<</Type/Catalog/Pages 2 0 R>>endobj\n2 0 obj<</Type/Pages/Kids[]/Count 0>>endobj\n%%EOF\n"


class Exporter:
    """Runs the exports of one application on its event loop."""

    def __init__(self, state: SandboxState, transport: httpx.AsyncBaseTransport | None = None) -> None:
        self._state = state
        self._transport = transport
        self._deliveries: dict[str, asyncio.Task[None]] = {}
        self._timers: set[asyncio.Task[None]] = set()
        self._starting: set[str] = set()

    async def active_run(self, imodel_id: str) -> Run | None:
        """The active run of this iModel; there is at most one."""
        run = self._state.active_runs.get(imodel_id)
        if run is not None:
            await self.settle(run)
        return run if run is not None and run.is_active else None

    @asynccontextmanager
    async def starting(self, imodel_id: str) -> AsyncGenerator[bool]:
        """Claim the iModel for the time that create-run takes; false while another create-run has it."""
        if imodel_id in self._starting:
            yield False
            return
        self._starting.add(imodel_id)
        try:
            await asyncio.sleep(self._state.options.start_seconds)
            yield True
        finally:
            self._starting.discard(imodel_id)

    def start(self, connection: Connection, request: dict[str, Any], subject: str) -> Run:
        """Begin a run of this connection."""
        state = self._state
        imodel = state.imodels[connection.imodel_id]
        outcome = self._outcome(connection, imodel, subject)
        number = state.next_number("run")
        seconds = next(s for s in (outcome.seconds, imodel.run_seconds, state.options.run_seconds) if s is not None)
        asked = request.get("inputOptions", {}).get("changesetId")
        latest = imodel.latest.id if imodel.latest else None
        run = Run(
            guid("run", connection.id, number),
            connection.id,
            imodel.id,
            request,
            outcome,
            state.clock.now(),
            seconds,
            asked or latest,
            subject,
        )
        connection.runs.append(run)
        state.active_runs[imodel.id] = run
        state.counters["runs created"] += 1
        self._keep(asyncio.create_task(self._complete_in_time(run)))
        return run

    async def settle(self, run: Run) -> None:
        """Finish the run if its time has come; a slow delivery goes on in the background."""
        if run.finished_at or self._state.clock.now() < self._due(run):
            return
        if run.id not in self._deliveries:
            self._deliveries[run.id] = asyncio.create_task(self._finish(run))
        delivery = self._deliveries[run.id]
        await asyncio.wait({delivery}, timeout=_DELIVERY_WAIT)
        if delivery.done():
            # Raise here: an error such as a missing ifcopenshell must not look like a slow run.
            delivery.result()

    async def close(self) -> None:
        """Cancel the timers; unfinished runs stay unfinished."""
        tasks = [*self._timers, *self._deliveries.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _outcome(self, connection: Connection, imodel: IModel, subject: str) -> Outcome:
        if connection.authentication_type == "User" and subject not in self._state.consents:
            return Outcome("Error", error_key="UserNotAuthenticated")
        if imodel.state != "initialized":
            return Outcome("Error", error={"message": "The iModel is not initialized."})
        return self._state.take_outcome(imodel.id)

    def _due(self, run: Run) -> datetime:
        return run.started_at + timedelta(seconds=run.seconds)

    async def _complete_in_time(self, run: Run) -> None:
        """Finish the run even if nobody polls it."""
        while run.is_active:
            wait = (self._due(run) - self._state.clock.now()).total_seconds()
            await asyncio.sleep(min(max(wait, 0), _CLOCK_INTERVAL))
            await self.settle(run)

    def _keep(self, task: asyncio.Task[None]) -> None:
        self._timers.add(task)
        task.add_done_callback(self._timers.discard)

    async def _finish(self, run: Run) -> None:
        try:
            if run.outcome.delivers:
                await self._deliver(run, run.outcome.content or await self._produce(run))
        except BadMappingError as error:
            await self._deliver_log(run, f"{error}\n".encode())
            run.outcome = Outcome("Error", error=error.task_error)
        except httpx.HTTPError as error:
            failure = {"message": f"The output could not be uploaded: {type(error).__name__}."}
            run.outcome = replace(run.outcome, result="Error", task_result="Error", error=failure)
        run.finished_at = max(self._state.clock.now(), self._due(run))
        if self._state.active_runs.get(run.imodel_id) is run:
            del self._state.active_runs[run.imodel_id]
        self._deliveries.pop(run.id, None)

    async def _produce(self, run: Run) -> bytes:
        if run.request["exportType"] == "PDF":
            return _PDF
        # ifcopenshell costs a second to import and nothing else needs it.
        from deployments.sandbox.content.ifc import IfcSubject, build_ifc  # noqa: PLC0415

        imodel = self._state.imodels[run.imodel_id]
        version = run.request.get("ifcVersion") or self._state.options.default_ifc_version
        content = await self._mapping_content(run)
        mapping = read_mapping(content, version) if content is not None else None
        subject = IfcSubject(imodel.name, imodel.id, run.changeset_id or "baseline", version, mapping)
        return await asyncio.to_thread(build_ifc, subject, imodel.elements)

    async def _mapping_content(self, run: Run) -> bytes | None:
        """The mapping file of a run; none for the default mapping.

        Raises:
            BadMappingError: It cannot be read.
        """
        asked = run.request.get("inputOptions", {})
        content: bytes | None = None
        if file_id := asked.get("mappingFileId"):
            blob = self._state.blobs.get(FILES, file_id)
            content = blob.read() if blob else None
        elif url := asked.get("mappingfileBlobUrl"):
            async with httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=60) as client:
                answer = await client.get(url)
            content = answer.content if answer.is_success else None
        else:
            return None
        if content is None and self._state.options.mapping_file == "run-error":
            raise BadMappingError("The mapping file could not be read.")
        return content

    async def _deliver(self, run: Run, content: bytes) -> None:
        output = run.request.get("outputOptions", {})
        log = f"Exported {run.imodel_id} at {run.changeset_id or 'baseline'}: {len(content)} bytes.\n".encode()
        if _is_to_blob(output):
            await self._upload(output["outputSasUrl"], content)
        else:
            suffix = ".pdf" if run.request["exportType"] == "PDF" else ".ifc"
            run.output_file_id = self._store(run, suffix, content).id
            if self._state.options.output_file_id == "readable-guid":
                self._state.file_aliases[output_guid(run.id)] = run.output_file_id
        await self._deliver_log(run, log)

    async def _deliver_log(self, run: Run, log: bytes) -> None:
        output = run.request.get("outputOptions", {})
        if not output.get("saveLogs"):
            return
        if not _is_to_blob(output):
            self._store(run, ".log", log)
        elif output.get("logsSasUrl"):
            await self._upload(output["logsSasUrl"], log)

    def _store(self, run: Run, suffix: str, content: bytes) -> StorageItem:
        """Put a file into Storage, over the older one of the same iModel when asked to."""
        state, imodel = self._state, self._state.imodels[run.imodel_id]
        output = run.request.get("outputOptions", {})
        folder = output.get("folderId") or state.itwins[imodel.itwin_id].root_folder_id
        older = [
            item for item in state.children(folder) if item.source_imodel_id == imodel.id and item.name.endswith(suffix)
        ]
        if older and output.get("replaceOlderFile"):
            state.overwrite(older[0], content)
            return older[0]
        is_numbered = older and state.options.file_names == "numbered"
        number = f" ({len(older)})" if is_numbered else ""
        return state.add_file(folder, f"{imodel.name}{number}{suffix}", content, imodel_id=imodel.id)

    async def _upload(self, url: str, content: bytes) -> None:
        async with httpx.AsyncClient(transport=self._transport, trust_env=False, timeout=60) as client:
            headers = {"x-ms-blob-type": "BlockBlob", "Content-Type": "application/octet-stream"}
            answer = await client.put(url, content=content, headers=headers)
            answer.raise_for_status()


def _is_to_blob(output: dict[str, Any]) -> bool:
    return output.get("location", "STORAGE") == "USER_BLOB_STORAGE"
