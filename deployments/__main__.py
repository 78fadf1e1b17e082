"""`python -m deployments …` is the same as `itwin-export …`."""

from deployments.entry_point import main

main()
