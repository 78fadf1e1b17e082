"""The demonstration: the real flow against the stand-in platform, once through Storage, once through a user's blobs."""

import asyncio
import os
import signal
import sys
import threading
from contextlib import ExitStack

from deployments.cli.own_server import own_server
from deployments.cli.tables import print_exports
from deployments.output_streams import keep_streams_open
from deployments.sandbox.azurite import running_azurite
from deployments.sandbox.server import running_sandbox
from deployments.sandbox.state.seed import SEEDED
from deployments.stop_signals import INTERRUPTED, stop_signals
from flows.export_ifc import export_ifc
from tasks.reports import ExportReport


def main() -> None:
    """Run both exports and print the table."""
    with ExitStack() as stack:
        sandbox = stack.enter_context(running_sandbox())
        os.environ.update(sandbox.environment)
        azurite = stack.enter_context(running_azurite())
        if azurite is not None:
            os.environ.update(azurite.environment)
        stack.enter_context(own_server())
        reports = stop_signals.run(_export_both())
    print_exports(reports)


async def _export_both() -> list[ExportReport]:
    return [
        await export_ifc(SEEDED.plant, force=True),
        await export_ifc(SEEDED.bridge, ifc_version="IFC2x3", output_location="USER_BLOB_STORAGE", force=True),
    ]


def _end_with_stdin() -> None:
    """Standard input closes when the command that started this process is gone, however that ended."""
    os.read(0, 1)
    os.kill(os.getpid(), signal.SIGTERM)


if __name__ == "__main__":
    keep_streams_open()
    stop_signals.install()
    threading.Thread(target=_end_with_stdin, daemon=True).start()
    stop_signals.sentence = "The demo is interrupted.".__str__
    try:
        main()
    except (KeyboardInterrupt, asyncio.CancelledError):
        sys.exit(INTERRUPTED)  # the command that started this process says so
