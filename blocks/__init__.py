"""The outside world: the platform, storage, the Prefect server, the disk."""

import logging

LOGGERS_OF_LIBRARIES = ("httpx", "httpcore", "azure", "aiohttp", "urllib3", "websockets")
"""Their INFO and DEBUG lines hold whole URLs, headers and messages, signatures and tokens included."""

for _name in LOGGERS_OF_LIBRARIES:
    logging.getLogger(_name).setLevel(logging.WARNING)
