"""`python -m deployments …` is the same as `itwin-export …`."""

from deployments.cli import main

main()
