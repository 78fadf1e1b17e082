"""A program of its own: check an IFC file against IDS documents with ifctester, within limits on memory and time.

`python -m blocks.storage.acceptance.ids.worker TASK` reads the JSON file TASK and writes `result.json` and
`report.html` into the folder it names. It imports little of this application, so that it starts fast, and opens no
connection.
"""

import importlib
import json
import sys
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from blocks.limited_process import limit_this_process

Members = dict[str, Any]
LONGEST_TEXT = 500
_FONTS = '<link href="https://fonts.googleapis.com/'
_CLOSED = """<meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'">"""
_NO_CONNECTION = frozenset({"socket.connect", "socket.getaddrinfo", "socket.bind", "subprocess.Popen", "os.system"})


def main() -> None:
    """Do the task; what went wrong is part of the result."""
    task: Members = json.loads(Path(sys.argv[1]).read_text("utf-8"))
    limits = {"RLIMIT_AS": task["memory"], "RLIMIT_CPU": task["seconds"], "RLIMIT_FSIZE": task["largest_file"]}
    limit_this_process(task["parent"], limits)
    sys.addaudithook(_refuse_connections)
    try:
        result = run(task)
    except MemoryError:
        result = {"fault": "memory"}
    Path(task["folder"], "result.json").write_text(json.dumps(result), "utf-8")


def _refuse_connections(event: str, _arguments: object) -> None:
    if event in _NO_CONNECTION:
        raise PermissionError(f"{event} is not allowed here")


def run(task: Members) -> Members:
    """Read the documents, and check the file if there is one."""
    ids: Any = importlib.import_module("ifctester.ids")
    documents: list[tuple[str, Any]] = []
    for document in task["documents"]:
        try:
            documents.append((document["name"], ids.open(document["path"], validate=True)))
        except MemoryError:
            raise
        except Exception as error:  # noqa: BLE001  whatever the libraries find wrong with it
            return {"fault": "document", "document": document["name"], "reason": _reason(error)}
    if not task["ifc"]:
        return {"specifications": sum(len(document.specifications) for _, document in documents)}
    return _checked(task, documents)


def _checked(task: Members, documents: list[tuple[str, Any]]) -> Members:
    ifcopenshell: Any = importlib.import_module("ifcopenshell")
    try:
        file = ifcopenshell.open(task["ifc"])
    except MemoryError:
        raise
    except Exception as error:  # noqa: BLE001  whatever the library finds wrong with it
        return {"fault": "memory" if "bad_alloc" in str(error) else "ifc", "reason": _reason(error)}
    specifications = [(name, one) for name, document in documents for one in document.specifications]
    for _, specification in specifications:
        specification.reset_status()
        specification.is_ifc_version = _is_for(specification, file.schema_identifier)
        if specification.is_ifc_version:
            specification.validate(file)
    Path(task["folder"], "report.html").write_text(_html(task, documents), "utf-8")
    found = [_specification(name, one, task["listed"]) for name, one in specifications]
    return {"ifc_schema": file.schema_identifier, "specifications": found}


def _is_for(specification: Any, schema: str) -> bool:
    """True if it is for files of this schema; files of IFC 4.3 name it with or without its edition."""
    versions = specification.ifcVersion
    names: list[str] = versions.split() if isinstance(versions, str) else versions
    return any(name.partition("_")[0] == schema.partition("_")[0] for name in names)


def _specification(document: str, one: Any, listed: int) -> Members:
    return {
        "document": document,
        "name": _cut(one.name),
        "usage": one.get_usage(),
        "checked": bool(one.is_ifc_version),
        "passed": bool(one.status),
        "applicable": len(one.applicable_entities),
        "failed": len(one.failed_entities),
        "requirements": [_requirement(one, facet, listed) for facet in one.requirements],
    }


def _requirement(specification: Any, facet: Any, listed: int) -> Members:
    return {
        "text": _cut(facet.to_string("requirement", specification, facet)),
        "failed": len(facet.failures),
        "failures": [
            {**_instance(failure["element"]), "reason": _cut(failure["reason"])}
            for failure in islice(facet.failures, listed)
        ],
    }


def _instance(element: Any) -> Members:
    return {
        "id": element.id(),
        "ifc_class": element.is_a(),
        "global_id": _cut(getattr(element, "GlobalId", None) or ""),
        "name": _cut(getattr(element, "Name", None) or ""),
    }


def _html(task: Members, documents: list[tuple[str, Any]]) -> str:
    """The report of ifctester on all documents, with as many rows a table as keep it short."""
    reporter: Any = importlib.import_module("ifctester.reporter")
    ids: Any = importlib.import_module("ifctester.ids")
    merged = ids.Ids(title=", ".join(document.info.get("title", "") for _, document in documents))
    merged.specifications = [one for _, document in documents for one in document.specifications]
    merged.filename = _cut(task["title"])
    for rows in (task["listed"], 10, 1):
        text = _short_report(reporter.Html, rows)(merged).text()
        if len(text.encode()) <= task["largest_file"]:
            return text
    return f"<!DOCTYPE html><meta charset=utf-8>{_CLOSED}<p>The report is too long. The other one has the counts.</p>"


def _short_report(html: Any, rows: int) -> Any:
    """The HTML reporter, which lists only the first so many instances of a table and counts all of them."""

    class ShortReport(html):
        def report_passed_entities(self, requirement: Any) -> list[Any]:
            return [self._row(element) for element in islice(requirement.passed_entities, rows)]

        def report_applicable_entities(self, specification: Any) -> list[Any]:
            return [self._row(element) for element in islice(specification.applicable_entities, rows)]

        def report_failed_entities(self, requirement: Any) -> list[Any]:
            return [
                {**self._row(failure["element"]), "reason": _cut(failure["reason"])}
                for failure in islice(requirement.failures, rows)
            ]

        def _row(self, element: Any) -> Members:
            names = ("PredefinedType", "Name", "Description", "Tag", "GlobalId")
            values = [_cut(str(getattr(element, name, None) or "")) for name in names]
            keys = ("predefined_type", "name", "description", "tag", "global_id")
            return {"class": element.is_a(), "element_type": None, **dict(zip(keys, values, strict=True))}

        def text(self) -> str:
            self.report()
            self.results["name"] = self.results["title"]
            for result, specification in zip(self.results["specifications"], self.ids.specifications, strict=True):
                _count_omitted(result, specification, rows)
            return "".join(line for line in _lines(self.to_string()) if _FONTS not in line)

    return ShortReport


def _count_omitted(result: Members, specification: Any, rows: int) -> None:
    """Tell how many instances are not listed; ifctester counts those it is given."""
    applicable = len(specification.applicable_entities)
    result |= {"has_omitted_applicable": applicable > rows, "total_omitted_applicable": applicable - rows}
    for requirement, facet in zip(result["requirements"], specification.requirements, strict=True):
        failed = len(facet.failures)
        passed = applicable - failed
        requirement |= {"total_failed_entities": failed, "total_passed_entities": passed}
        requirement |= {"has_omitted_failures": failed > rows, "total_omitted_failures": failed - rows}
        requirement |= {"has_omitted_passes": passed > rows, "total_omitted_passes": passed - rows}


def _lines(html: str) -> Iterator[str]:
    for line in html.splitlines(keepends=True):
        yield line
        if line.strip() == "<head>":
            yield f"{_CLOSED}\n"


def _cut(text: object) -> str:
    return str(text)[:LONGEST_TEXT]


def _reason(error: Exception) -> str:
    """What is wrong, on one line; of a document also where."""
    fault: Any = getattr(error, "xml_error", error)
    texts = [str(getattr(fault, "reason", None) or fault), f"at {fault.path}" if getattr(fault, "path", None) else ""]
    return _cut(" ".join(" ".join(texts).split())) or type(error).__name__


if __name__ == "__main__":
    main()
