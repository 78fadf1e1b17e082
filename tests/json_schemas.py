"""JSON schemas as they are kept in the repository."""

import json
from typing import Any


def schema_text(schema: dict[str, Any]) -> str:
    """The text of the file."""
    dialect = {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}
    return json.dumps(dialect, indent=1, ensure_ascii=False) + "\n"
