"""Acceptance rules in TOML, and one sentence about what is wrong with them."""

import tomllib
from collections.abc import Mapping
from difflib import get_close_matches
from pathlib import Path

from pydantic import BaseModel, ValidationError

from blocks.errors import InputError
from blocks.shared_folder import home_expanded, open_regular
from blocks.shown_text import shown
from blocks.storage.acceptance.rules import GivenRules, IfcRules, MeshRules, Rules

_KINDS = {
    "int_type": "a whole number",
    "float_type": "a number",
    "bool_type": "true or false",
    "string_type": "a text",
    "tuple_type": "a list",
    "dict_type": "a table",
    "model_type": "a table",
}
"""Errors of pydantic for values of another kind, and the words of TOML for the right one."""
LONGEST_RULES = 1024 * 1024
_TABLES: dict[str, type[BaseModel]] = {"": Rules, "ifc": IfcRules, "mesh": MeshRules}


def read_rules_file(name: str) -> GivenRules:
    """Read the rules of a TOML file.

    Raises:
        InputError: The file cannot be read, or the rules are invalid; the message names file, key and value.
    """
    path = home_expanded(name).absolute()
    try:
        members = tomllib.loads(_read_text(path))
    except (ValueError, RecursionError) as error:  # of tomllib, also for 5000 digits and deep arrays
        raise InputError(f"The acceptance rules {path} are no valid TOML: {error}. Correct that line.") from None
    return GivenRules(source=str(path), rules=parse_rules(members, f"The acceptance rules {path}"))


def parse_rules(members: Mapping[str, object], subject: str) -> Rules:
    """The rules of a parsed document.

    Args:
        members: The document.
        subject: Beginning of the message if something is wrong: “The acceptance rules PATH”.

    Raises:
        InputError: A key is unknown or a value is invalid.
    """
    try:
        return Rules.model_validate(members)
    except ValidationError as error:
        raise InputError(f"{subject} {describe_fault(error)}") from None


def describe_fault(error: ValidationError) -> str:
    """What is wrong with rules, as the end of a sentence: the key, its value, and what it should be."""
    fault = error.errors(include_url=False)[0]
    table, key = _place_of(fault["loc"])
    name = ".".join(filter(None, (table, key)))
    match fault["type"]:
        case "extra_forbidden":
            return f"have a key “{name}” that does not exist.{_hint(table, key)}"
        case "literal_error":
            choices = str(fault.get("ctx", {}).get("expected")).replace("'", "").replace(" or ", ", ")
            return f"have “{shown(str(fault['input']), 100)}” as {name}. Choose one of: {choices}."
        case "value_error" if not key and not table:
            return f"cannot be used{_reason(fault['msg'])}."
        case kind if kind in _KINDS:
            return f"have {_written(fault['input'])} as {name}. It should be {_KINDS[kind]}."
        case _:
            return f"have {_written(fault['input'])} as {name}{_reason(fault['msg'])}."


def _read_text(path: Path) -> str:
    try:
        with open_regular(path, may_be_link=True) as file:
            content = file.read(LONGEST_RULES + 1)
        text = content.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise InputError(f"The acceptance rules {path} are no text in UTF-8. Save them as UTF-8.") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or "no file can be called so"
        raise InputError(
            f"The acceptance rules {shown(str(path), 500)} cannot be read ({reason}). Correct the path; a saved "
            f"Acceptance Rules block is named with lower-case letters, digits and dashes only."
        ) from None
    if len(content) > LONGEST_RULES:
        raise InputError(f"The acceptance rules {path} have more than {LONGEST_RULES} bytes. Name the right file.")
    return text


def _place_of(loc: tuple[int | str, ...]) -> tuple[str, str]:
    """Table and key of a fault; of a list or map the key of what is in it, too."""
    parts = [str(part) for part in loc if part != "[key]"]
    table = parts[0] if parts and parts[0] in _TABLES else ""
    return table, ".".join(parts[1:] if table else parts)


def _hint(table: str, key: str) -> str:
    """The nearest known key; one of another table first, if it is spelled right."""
    own = _TABLES[table].model_fields.keys()
    for other, model in _TABLES.items():
        if key in model.model_fields:
            where = f"into the table [{other}]" if other else "at the top, before any table"
            return f" It belongs {where}."
    near = get_close_matches(key, own, n=1, cutoff=0.5)
    return f" Did you mean “{near[0]}”? Known ones: {', '.join(own)}." if near else f" Known ones: {', '.join(own)}."


def _written(value: object) -> str:
    """A value about as TOML writes it; a text is named as such, for it may be a number in quotes."""
    text = str(value).lower() if isinstance(value, bool) else str(value)
    return f"{'the text ' if isinstance(value, str) else ''}“{shown(text, 100)}”"


def _reason(message: str) -> str:
    """What pydantic or a validator of ours says, to follow the value."""
    ours = message.removeprefix("Value error, ")
    if ours != message:
        return f": {ours}"
    return f". It should be {message.removeprefix('Input should be ')}" if "should be" in message else f": {message}"
