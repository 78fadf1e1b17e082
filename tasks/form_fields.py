"""Annotations that control how Prefect's UI shows flow parameters in its form."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

OptionalText = Annotated[str | None, WithJsonSchema({"type": "string"}), Field(json_schema_extra={"default": ""})]
"""An optional text, shown as a text field; for `str | None` alone the form offers a choice between “str” and “None”.

The form submits the default that the schema names, and rejects null for a string.
"""


OptionalList = Annotated[
    list[str] | None,
    WithJsonSchema({"type": "array", "items": {"type": "string"}}),
    Field(json_schema_extra={"default": []}),
]
"""The same for a list of texts, which is shown as a list instead of a choice between “list” and “None”."""


def titled(title: str) -> Any:
    """A title for a parameter, for use inside `Annotated`; without it the form shows the parameter name.

    Prefect overwrites `title` in the schema, but keeps what `json_schema_extra` holds.
    """
    return Field(json_schema_extra={"title": title})
