"""Which classes of IFC are subclasses of another, by schema."""

from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files


def count_instances(name: str, entities: Mapping[str, int], schema: str) -> int:
    """Instances of a class and its subclasses.

    Args:
        name: The class, as in the schema: IfcWall.
        entities: Instances by class, without those of subclasses.
        schema: As the header of the file names it: IFC4X3_ADD2.
    """
    return sum(entities.get(one, 0) for one in subclasses_of(name, schema))


def subclasses_of(name: str, schema: str) -> frozenset[str]:
    """A class and everything below it; a class without a GlobalId stands alone."""
    tree = _subclasses()[_known_schema(schema)]
    found, waiting = {name}, [name]
    while waiting:
        below = tree.get(waiting.pop(), ())
        found.update(below)
        waiting.extend(below)
    return frozenset(found)


def _known_schema(schema: str) -> str:
    """The schema that is nearest: others have an addendum or corrigendum in their name."""
    return next((known for known in ("IFC2X3", "IFC4X3_ADD2") if schema.upper().startswith(known[:5])), "IFC4")


@cache
def _subclasses() -> dict[str, dict[str, tuple[str, ...]]]:
    """Direct subclasses by schema and class."""
    text = files("blocks.storage.acceptance").joinpath("ifc_subclasses.txt").read_text("utf-8")
    sections = (section.partition("]") for section in text.replace("\n  ", " ").split("\n[")[1:])
    return {schema: dict(map(_read_line, lines.strip().splitlines())) for schema, _, lines in sections}


def _read_line(line: str) -> tuple[str, tuple[str, ...]]:
    name, _, below = line.partition(":")
    return f"Ifc{name}", tuple(_prefixed(below.split()))


def _prefixed(names: Iterable[str]) -> Iterable[str]:
    return (f"Ifc{name}" for name in names)
