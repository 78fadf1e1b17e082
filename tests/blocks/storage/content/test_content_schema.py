"""The JSON schemas of `content.json` and `acceptance.json`.

To write them anew: `python -m tests.blocks.storage.content.test_content_schema`.
"""

from pathlib import Path

import pytest
from pydantic import BaseModel

import blocks.storage
from blocks.storage.acceptance.ids.models import IdsReport
from blocks.storage.content.models import ExportContent
from tests.json_schemas import schema_text

STORAGE = Path(blocks.storage.__path__[0])
SCHEMAS: dict[Path, type[BaseModel]] = {
    STORAGE / "content" / "content.schema.json": ExportContent,
    STORAGE / "acceptance" / "ids" / "acceptance.schema.json": IdsReport,
}


@pytest.mark.parametrize("path", SCHEMAS, ids=lambda path: path.name)
def test_the_schema_in_the_repository_is_that_of_the_models(path: Path) -> None:
    """The schema that others validate with is generated from the models that write the report."""
    assert path.read_text("utf-8") == schema_text(SCHEMAS[path].model_json_schema())


if __name__ == "__main__":
    for path, model in SCHEMAS.items():
        path.write_text(schema_text(model.model_json_schema()), "utf-8")
