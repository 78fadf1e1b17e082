"""`python -m tests.processes.lasting_worker …` is `deployments.worker`, however soon a worker ends."""

import sys

from deployments.worker import LastingWorker

if __name__ == "__main__":
    sys.exit(LastingWorker(sys.argv[1:], lasting_seconds=0).run())
