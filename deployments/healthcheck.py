"""`python -m deployments.healthcheck [ADDRESS]`: exit code 0 if what runs in this container answers."""

import os
import sys

import httpx

WORKER = "http://127.0.0.1:8080/health"
"""Where `prefect worker start --with-healthcheck` answers."""


def main() -> int:
    """Ask the address given, else the one in HEALTH_URL, else the worker."""
    address = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("HEALTH_URL", WORKER)
    try:
        return 0 if httpx.get(address, timeout=5, trust_env=False).is_success else 1
    except httpx.HTTPError:
        return 1


if __name__ == "__main__":
    sys.exit(main())
