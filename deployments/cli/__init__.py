"""The `itwin-export` command: parse, call a flow, print the report.

Nothing heavy is imported here: until `main` runs, Ctrl-C would end in Python's own stack trace.
"""

import os
import sys
import warnings
from contextlib import suppress
from importlib import import_module

from deployments.loopback import reach_loopback_directly
from deployments.stop_signals import INTERRUPTED, stop_signals

reach_loopback_directly(os.environ)
# Defaults for a process that is its own Prefect server; whoever sets them decides.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("DO_NOT_TRACK", "1")  # else Prefect prints eight lines about it on a terminal
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")
# A killed command is found out by its missing heartbeats; Prefect's default of 180 seconds makes that ten minutes.
os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")
warnings.filterwarnings("ignore", "Failed to create the Prefect home directory")  # `require_prefect_api` says it


def main() -> None:
    """Run the command; the process ends with the documented exit code."""
    stop_signals.install()
    try:
        exit_code = _run()
    except KeyboardInterrupt:
        sys.stderr.write("itwin-export: Interrupted.\n")
        exit_code = INTERRUPTED
    stop_signals.finish(exit_code)
    sys.exit(exit_code)


def _run() -> int:
    from blocks.errors import ConfigurationError  # noqa: PLC0415  after the signals are handled, as all that follows
    from blocks.network import check_network  # noqa: PLC0415
    from blocks.shown_text import in_terminal  # noqa: PLC0415
    from deployments.output_streams import keep_streams_open, output_fault  # noqa: PLC0415

    standard_output = keep_streams_open()
    try:
        check_network()  # Prefect breaks off with a stack trace on import where SSL_CERT_FILE names nothing
    except ConfigurationError as error:
        if sys.argv[1:2] != ["doctor"]:
            sys.stderr.write(f"itwin-export: {in_terminal(str(error))}\n")
            return error.exit_code
        _import_doctor()
    from deployments.cli.app import run  # noqa: PLC0415  Prefect reads its settings on import

    exit_code = run(sys.argv[1:])
    if fault := output_fault(standard_output):
        sys.stderr.write(f"itwin-export: {fault}\n")
        exit_code = exit_code or 1
    return exit_code


def _import_doctor() -> None:
    """Import Prefect without certificates it cannot read: `doctor` reports them, and all it finds besides."""
    named = {name: os.environ.pop(name) for name in ("SSL_CERT_FILE", "SSL_CERT_DIR") if name in os.environ}
    with suppress(OSError, ValueError):  # the command's own import says why
        import_module("deployments.cli.doctor.command")
    os.environ.update(named)
