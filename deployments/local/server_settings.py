"""Settings of the Prefect server that `make up` starts; compose.yaml and kubernetes/ give a team's server the like."""

LEASES_ON_DISK = "prefect.server.concurrency.lease_storage.filesystem"
"""Leases of concurrency limits in PREFECT_HOME. By default they are in the server's memory: after a power cut a
deployment's slot stays taken for ever, and each later run of its schedule ends as Cancelled."""

HEARTBEAT_SECONDS = 30
"""The shortest that Prefect allows; its default of 180 finds a cut run after ten minutes."""

SERVER_SETTINGS = {
    "PREFECT_FLOWS_HEARTBEAT_FREQUENCY": str(HEARTBEAT_SECONDS),
    "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
    "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": LEASES_ON_DISK,
    # By default Prefect deletes old events only; flow runs take their task runs, logs and artifacts with them.
    "PREFECT_SERVER_SERVICES_DB_VACUUM_ENABLED": "events,flow_runs",
}
