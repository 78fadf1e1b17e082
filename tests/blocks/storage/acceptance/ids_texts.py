"""IDS documents that tests check files against."""

HEADER = (
    '<?xml version="1.0" encoding="UTF-8"?>\n'
    '<ids xmlns="http://standards.buildingsmart.org/IDS" xmlns:xs="http://www.w3.org/2001/XMLSchema" '
    'xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance" '
    'xsi:schemaLocation="http://standards.buildingsmart.org/IDS http://standards.buildingsmart.org/IDS/1.0/ids.xsd">'
)
EVERY_VERSION = "IFC2X3 IFC4 IFC4X3_ADD2"
NAME = '<attribute cardinality="required"><name><simpleValue>Name</simpleValue></name></attribute>'
FIRE_RATING = (
    '<property cardinality="required" dataType="IFCLABEL"><propertySet><simpleValue>Pset_SlabCommon</simpleValue>'
    "</propertySet><baseName><simpleValue>FireRating</simpleValue></baseName></property>"
)


def specification(
    name: str, ifc_class: str, requirement: str = NAME, *, versions: str = EVERY_VERSION, occurs: str = "1-unbounded"
) -> str:
    """A specification with one requirement for a class; `occurs` is least and most."""
    least, most = occurs.split("-")
    requirements = f"<requirements>{requirement}</requirements>" if requirement else ""
    return (
        f'<specification name="{name}" ifcVersion="{versions}"><applicability minOccurs="{least}" maxOccurs="{most}">'
        f"<entity><name><simpleValue>{ifc_class}</simpleValue></name></entity></applicability>{requirements}"
        "</specification>"
    )


def document(*specifications: str, title: str = "Agreed") -> str:
    """A document of specifications."""
    return (
        f"{HEADER}<info><title>{title}</title></info><specifications>{''.join(specifications)}</specifications></ids>"
    )


PASSING = document(specification("Walls have names", "IFCWALL"))
FAILING = document(
    specification("Walls have names", "IFCWALL"),
    specification("Slabs have a fire rating", "IFCSLAB", FIRE_RATING, occurs="0-unbounded"),
    specification("No sites", "IFCSITE", "", occurs="0-0"),
    specification("There are doors", "IFCDOOR"),
    specification("Walls of old files", "IFCWALL", versions="IFC2X3"),
)
