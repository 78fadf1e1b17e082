"""How parameters look in the form of Prefect's UI."""

from typing import Annotated, Any

from pydantic import Field, WithJsonSchema

OptionalText = Annotated[str | None, WithJsonSchema({"type": "string"}), Field(json_schema_extra={"default": ""})]
"""A text that may be left out, as an empty field; the bare union would be shown as a choice between “str” and “None”.

The form hands over what the schema calls the default, and refuses a null there.
"""


def titled(title: str) -> Any:
    """A title for a parameter, for use inside `Annotated`; without one the form shows the bare name.

    Prefect sets `title` itself and keeps only what comes this way.
    """
    return Field(json_schema_extra={"title": title})
