"""The rules of the table `ifc`, measured on the content reports of IFC files."""

from collections import Counter
from collections.abc import Sequence

from pydantic import JsonValue

from blocks.storage.acceptance.checks import Check, CheckList
from blocks.storage.acceptance.comparison import PreviousExport, add_comparison
from blocks.storage.acceptance.ifc_hierarchy import count_instances
from blocks.storage.acceptance.ifc_place_checks import check_places
from blocks.storage.acceptance.imodel_place import IModelPlace
from blocks.storage.acceptance.rules import IfcRules
from blocks.storage.content.models import IfcContent


def check_ifc_rules(
    rules: IfcRules,
    files: Sequence[IfcContent],
    previous: PreviousExport | None,
    imodel: IModelPlace | None = None,
) -> list[Check]:
    """One check for each rule; files are taken together.

    Args:
        rules: The rules.
        files: Content reports of the files of one export.
        previous: The export that was published before.
        imodel: What was exported; None for files of unknown origin.
    """
    found = CheckList("ifc")
    elements = sum(file.elements for file in files)
    found.at_least("min_elements", rules.min_elements, elements)
    found.at_most("max_elements", rules.max_elements, elements)
    _check_classes(rules, files, found)
    add_comparison(found, rules, elements, "elements", previous)
    check_places(rules, files, imodel, found)
    _check_wholeness(rules, files, found)
    found.at_least("min_storeys", rules.min_storeys, sum(file.storeys for file in files))
    size = sum(file.size for file in files)
    found.at_least("min_bytes", rules.min_bytes, size)
    found.at_most("max_bytes", rules.max_bytes, size)
    _check_application(rules, files, found)
    return found.checks


def _check_classes(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    for name, least in rules.require.items():
        found.at_least(f"require.{name}", least, _count(name, files))
    for name in rules.forbid:
        found.at_most(f"forbid.{name}", 0, _count(name, files))
    elements, proxies = sum(file.elements for file in files), sum(file.proxies for file in files)
    share = round(100 * proxies / elements, 2) if elements else 0.0
    found.at_most("max_proxy_percent", rules.max_proxy_percent, share, f"{proxies} of {elements} elements")


def _count(name: str, files: Sequence[IfcContent]) -> int:
    return sum(count_instances(name, file.entities, file.ifc_schema) for file in files)


def _check_wholeness(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    if rules.unique_global_ids:
        found.at_most("unique_global_ids", 0, sum(file.duplicate_global_ids for file in files), "duplicate GlobalIds")
    if not rules.whole_references:
        return
    missing = [file.missing_references for file in files]
    if None in missing:
        found.error("whole_references", 0, "the numbers of the instances are too high to check their references")
    else:
        found.at_most("whole_references", 0, sum(filter(None, missing)), "missing instances that others refer to")


def _check_application(rules: IfcRules, files: Sequence[IfcContent], found: CheckList) -> None:
    if rules.application is None:
        return
    wanted = rules.application.casefold()
    named = [(*file.applications, file.application) for file in files]
    fits = all(any(one.casefold().startswith(wanted) for one in names) for names in named)
    measured: list[JsonValue] = list(Counter(one for names in named for one in names if one))
    found.add("application", rules.application, measured, passed=fits)
