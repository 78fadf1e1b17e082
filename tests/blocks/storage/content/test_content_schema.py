"""The JSON schema of `content.json`. To write it anew: `python -m tests.blocks.storage.content.test_content_schema`."""

import json
from pathlib import Path

import blocks.storage.content.models as models_module
from blocks.storage.content.models import ExportContent

SCHEMA = Path(models_module.__file__).with_name("content.schema.json")


def generated() -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **ExportContent.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


def test_the_schema_in_the_repository_is_that_of_the_models() -> None:
    """The schema that others validate with is generated from the models that write the report."""
    assert SCHEMA.read_text("utf-8") == generated()


if __name__ == "__main__":
    SCHEMA.write_text(generated(), "utf-8")
