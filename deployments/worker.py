"""`python -m deployments.worker …` is `prefect worker start …` for a worker that can always be stopped.

A process that a script starts with `&` ignores interrupts. Prefect's worker turns a termination signal into an
interrupt of itself, so such a worker would go on for ever.
"""

import runpy
import signal
import sys


def main() -> None:
    """Start a worker with Prefect's own options, in this process."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sys.argv[1:1] = ["worker", "start"]
    runpy.run_module("prefect", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
