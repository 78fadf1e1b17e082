"""Templates for the names of published IFC files, such as `{imodel}_{named_version}`."""

import re
from string import Formatter

from blocks.errors import InputError

FIELDS = (
    "imodel",
    "imodel_id",
    "itwin",
    "named_version",
    "changeset_index",
    "changeset_id",
    "ifc_version",
    "date",
)
_LONGEST = 500
_DIGITS = re.compile(r"0?[1-9]")
_SUFFIX = re.compile(r"\.ifc\Z", re.IGNORECASE)


def check_template(template: str | None) -> str | None:
    """The template of a file name, without `.ifc` at its end.

    Raises:
        InputError: It cannot be understood, or has an unknown field.
    """
    if template is None:
        return None
    plain = _SUFFIX.sub("", template)
    try:
        parts = list(Formatter().parse(plain))
    except ValueError as error:
        raise InputError(f"file_name “{template}” cannot be read ({error}). Write a brace itself twice.") from None
    if len(template) > _LONGEST or not plain.strip(" ."):
        raise InputError(f"file_name has {len(template)} characters; give a name of 1 to {_LONGEST}.")
    for literal, field, digits, conversion in parts:
        if re.search(r"[/\\]", literal):
            raise InputError(f"file_name “{template}” names a folder. Give a name without / and \\.")
        if field is not None:
            _check_field(template, field, digits or "", conversion)
    return plain


def _check_field(template: str, field: str, digits: str, conversion: str | None) -> None:
    if field not in FIELDS:
        known = " ".join(f"{{{name}}}" for name in FIELDS)
        raise InputError(f"file_name “{template}” has the unknown field {{{field}}}. Known are: {known}.")
    is_number = field == "changeset_index" and _DIGITS.fullmatch(digits)
    if conversion or (digits and not is_number):
        raise InputError(
            f"file_name “{template}” has a format for {{{field}}}. Only {{changeset_index}} takes one, as in "
            f"{{changeset_index:04}}."
        )
