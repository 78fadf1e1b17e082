"""The JSON schemas of `content.json` and `acceptance.json`.

To write them anew: `python -m tests.blocks.storage.content.test_content_schema`.
"""

import json
from pathlib import Path

import pytest
from pydantic import BaseModel

import blocks.storage
from blocks.storage.acceptance.ids.models import IdsReport
from blocks.storage.content.models import ExportContent

STORAGE = Path(blocks.storage.__path__[0])
SCHEMAS: dict[Path, type[BaseModel]] = {
    STORAGE / "content" / "content.schema.json": ExportContent,
    STORAGE / "acceptance" / "ids" / "acceptance.schema.json": IdsReport,
}


def generated(model: type[BaseModel]) -> str:
    schema = {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
    return json.dumps(schema, indent=1, ensure_ascii=False) + "\n"


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_the_schema_in_the_repository_is_that_of_the_models(path: Path) -> None:
    """The schema that others validate with is generated from the models that write the report."""
    assert path.read_text("utf-8") == generated(SCHEMAS[path])


if __name__ == "__main__":
    for path, model in SCHEMAS.items():
        path.write_text(generated(model), "utf-8")
