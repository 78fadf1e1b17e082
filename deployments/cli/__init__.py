"""The `itwin-export` command: parse, call a flow, print the report."""

import os
import sys

from blocks.errors import ConfigurationError
from blocks.network import check_network
from deployments.loopback import reach_loopback_directly
from deployments.output_streams import keep_streams_open, output_fault

reach_loopback_directly(os.environ)
# Defaults for a process that is its own Prefect server; whoever sets them decides.
os.environ.setdefault("PREFECT_SERVER_ANALYTICS_ENABLED", "false")
os.environ.setdefault("PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS", "180")
os.environ.setdefault("PREFECT_LOGGING_SERVER_LEVEL", "CRITICAL")
# A killed command is found out by its missing heartbeats; Prefect's default of 180 seconds makes that ten minutes.
os.environ.setdefault("PREFECT_FLOWS_HEARTBEAT_FREQUENCY", "30")


def main() -> None:
    """Run the command; the process ends with the documented exit code."""
    standard_output = keep_streams_open()
    try:
        check_network()  # Prefect breaks off with a stack trace on import where SSL_CERT_FILE names nothing
    except ConfigurationError as error:
        sys.stderr.write(f"itwin-export: {error}\n")
        sys.exit(error.exit_code)
    from deployments.cli.app import run  # noqa: PLC0415  Prefect reads its settings on import

    exit_code = run(sys.argv[1:])
    if fault := output_fault(standard_output):
        sys.stderr.write(f"itwin-export: {fault}\n")
        exit_code = exit_code or 1
    sys.exit(exit_code)
