"""Access to external systems: the iTwin Platform, Azure Storage, the Prefect server and the local disk."""

import logging

LOGGERS_OF_LIBRARIES = ("httpx", "httpcore", "azure", "aiohttp", "urllib3", "websockets")
"""Set to WARNING: their INFO and DEBUG records contain full URLs, headers and bodies, with signatures and tokens."""

for _name in LOGGERS_OF_LIBRARIES:
    logging.getLogger(_name).setLevel(logging.WARNING)
