"""Files that a command reads from a folder, and that are not what they are called."""

from collections.abc import Callable, Iterator
from pathlib import Path

from deployments.sandbox.state.seed import SEEDED
from tests.hostile.case import Case
from tests.hostile.values import MADE, make_directory, make_fifo, make_loop


def _file(name: str, content: bytes) -> Callable[[Path], object]:
    def prepare(folder: Path) -> None:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_bytes(content)

    return prepare


CONTENTS = (
    b"\xff\xfe\x00broken",
    b"\0" * 1000,
    b"[" * 100_000,
    b"ITWIN_POLL_SECONDS=soon\n",
    b"a = [1,\n",
    b'x = "' + b"y" * 5_000_000,
    b"[tool.prefect]\napi = 3\n",
    b"\x1b[2J\n",
    b"PREFECT_API_URL=ftp://x\n",
    b"active = 3\n[profiles]\nx = 1\n",
)


def folder_files() -> Iterator[Case]:
    """Files that are read from the working folder and from Prefect's home, broken or no files at all."""
    for name in (".env", "prefect.toml", "pyproject.toml", "prefect/profiles.toml"):
        for content in CONTENTS:
            yield Case(("list", "itwins"), prepare=_file(name, content))
        for make in (make_directory, make_fifo, make_loop):
            yield Case(("list", "itwins"), prepare=lambda folder, name=name, make=make: make(folder / name))
        yield Case(("ifc", SEEDED.plant), prepare=_file(name, CONTENTS[0]))
        yield Case(("doctor",), prepare=_file(name, CONTENTS[4]))
    yield Case(("ifc", SEEDED.plant), prepare=_file("prefect/prefect.db", b"no database" * 100))
    yield Case(("list", "itwins"), prepare=_file("prefect/prefect.db", b"SQLite format 3\0" + b"\xff" * 5000))
    for name in ("json.py", "flows.py", "httpx.py"):
        yield Case(("list", "itwins"), prepare=_file(name, b"raise SystemExit(99)\n"))


STEP = b"ISO-10303-21;\nHEADER;\nFILE_DESCRIPTION((''),'2;1');\nFILE_NAME('','',(''),(''),'','','');\n"
IFC = (
    b"",
    b"ISO-10303-21",
    STEP,
    STEP + b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n#1=" + b"(" * 200_000,
    STEP + b"FILE_SCHEMA((" + b"'x'," * 100_000 + b"));",
    STEP + b"FILE_SCHEMA(('\x1b[2J'));\nENDSEC;\nDATA;\nENDSEC;\n",
    STEP + b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n#" + b"9" * 100_000 + b"=IFCWALL();\nENDSEC;\nEND-ISO-10303-21;\n",
    STEP + b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n#1=IFCPROJECT('" + b"y" * 3_000_000,
    STEP
    + b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n#1=IFCSITE('a',$,$,$,$,$,$,$,$,(1e999,-9"
    + b"9" * 400
    + b"),(nan),$);\nENDSEC;\n",
    STEP
    + b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\n#1=IFCPROJECT('\\X4\\FFFFFFFF\\X0\\','\\X2\\D800\\X0\\');\nENDSEC;\n",
)
write_ifc = _file("a.file", STEP + b"FILE_SCHEMA(('IFC4'));\nENDSEC;\nDATA;\nENDSEC;\nEND-ISO-10303-21;\n")
"""An IFC file without a model, for what reads `a.file`."""
TILESETS = (
    b"",
    b"[]",
    b"null",
    b"{",
    b"[" * 100_000,
    b'{"root":{"content":{"uri":"../../etc/passwd"}}}',
    b'{"root":{"content":{"uri":"//[::1"}}}',
    b'{"root":{"content":{"uri":"\\ud800"}}}',
    b'{"root":{"content":{"uri":"\\u001b[2J"}}}',
    b'{"root":{"geometricError":1e999,"boundingVolume":{"region":["a"]}}}',
    b'{"root":{"content":{"uri":"tileset.json"}}}',
    b'{"asset":{"version":' + b"9" * 5000 + b'},"root":{}}',
    b'{"root":{"children":[null,3,[]]}}',
    b"\xff\xfe{}",
    b'{"root":{"boundingVolume":{"box":[1,2,"x"]},"transform":[1]}}',
)
MANIFESTS = (
    b"",
    b"[]",
    b"[" * 100_000,
    b"\xff\xfe",
    b'{"files":[{"path":"/etc/passwd"}]}',
    b'{"imodel_id":"\\u001b[2J"}',
    b'{"version":' + b"9" * 5000 + b"}",
    b'{"finished_at":"0001-01-01T00:00:00-23:59"}',
    b'{"finished_at":"9999-12-31T23:59:59+00:00"}',
)


def files_to_read() -> Iterator[Case]:
    """IFC files, tilesets and manifests that are not what they are called."""
    for content in IFC:
        yield Case(("check", "a.ifc"), named=("a.ifc",), prepare=_file("a.ifc", content))
    for content in TILESETS:
        yield Case(("check", "."), prepare=_file("tileset.json", content))
    for kind in ("ifc", "mesh"):
        for content in MANIFESTS:
            prepare = _file(f"exports/{SEEDED.plant}/{kind}/manifest.json", content)
            yield Case(("list", "exports"), prepare=prepare)
            if kind == "ifc":
                yield Case(("list", "exports", "--json"), prepare=prepare)
    for make in MADE.values():
        yield Case(("check", "."), prepare=lambda folder, make=make: make(folder / "tileset.json"))
        yield Case(("check", "."), prepare=lambda folder, make=make: make(folder / "a.ifc"))
    for user_file in ("exports", "prefect", ".env"):
        yield Case(
            ("list", "exports"),
            prepare=lambda folder, name=user_file: (folder / name).mkdir(mode=0o700, exist_ok=True),
        )
