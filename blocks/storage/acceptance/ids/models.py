"""What IDS documents are given as, and what a check against them found: the report `acceptance.json`."""

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field


class IdsDocument(BaseModel):
    """An IDS document; `name` is its path, the name of a blob, or a number if its text stands in the rules."""

    model_config = ConfigDict(frozen=True)

    name: str
    text: str


class Failure(BaseModel):
    """An instance that does not meet a requirement."""

    model_config = ConfigDict(frozen=True)

    id: int = Field(description="Number of the instance in the IFC file.")
    ifc_class: str
    global_id: str
    name: str
    reason: str


class Requirement(BaseModel):
    """A requirement of a specification, and the first instances that do not meet it."""

    model_config = ConfigDict(frozen=True)

    text: str
    failed: int = Field(description="All instances that do not meet it.")
    failures: tuple[Failure, ...] = Field(description="The first of them.")


class Specification(BaseModel):
    """A specification of an IDS document, and what was found."""

    model_config = ConfigDict(frozen=True)

    document: str
    name: str
    usage: Literal["required", "optional", "prohibited"] = Field(
        description="Whether the file must have instances that it applies to, may have, or must not have."
    )
    checked: bool = Field(description="False if it is for other IFC versions than that of the file.")
    passed: bool
    applicable: int = Field(description="Instances that it applies to.")
    failed: int = Field(description="Those of them that do not meet a requirement.")
    requirements: tuple[Requirement, ...]


class IdsReport(BaseModel):
    """The document `acceptance.json`: an IFC file checked against IDS documents."""

    model_config = ConfigDict(frozen=True)

    acceptance_version: Literal[1] = 1
    ifc: str = Field(description="Name of the file.")
    ifc_schema: str
    specifications: tuple[Specification, ...]
