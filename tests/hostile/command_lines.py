"""The command lines: every option of every command, paths, settings, files of the folder, and answers."""

from collections.abc import Callable, Iterator
from itertools import cycle
from typing import Any

from cyclopts import App

from blocks.shown_text import shown
from deployments.cli.app import app
from deployments.sandbox.state.seed import SEEDED
from tests.hostile.case import SECRET, Case
from tests.hostile.files import files_to_read, folder_files, write_ifc
from tests.hostile.platform_answers import answers
from tests.hostile.values import LONG, PATHS, TEXTS, of_type, paths

SERVING = {"view", "sandbox", "login"}
GOOD = {
    "ifc": (SEEDED.plant,),
    "mesh": (SEEDED.plant,),
    "itwin": (SEEDED.itwin,),
    "list imodels": (SEEDED.itwin,),
    "list versions": (SEEDED.plant,),
    "list changesets": (SEEDED.plant,),
    "list runs": (SEEDED.plant,),
    "view": (".", "--port", "0"),
    "check": ("a.file",),
    "webhooks register": ("https://hooks.example/webhooks/itwin", "--itwin-id", SEEDED.itwin),
    "webhooks remove": ("nosuch",),
    "federate": ("--itwin-id", SEEDED.itwin),
    "list exports": (".",),
    "login": ("--no-browser", "--show-token"),
    "sandbox": ("--port", "0"),
}
"""What makes a command complete, besides the option that is tried."""
SURROUNDINGS = {"webhooks": {"ITWIN_WEBHOOK_SECRET": "a" * 32}}
"""Settings without which every command of a group is refused."""
QUICK = ("list itwins",)


def every_command() -> Iterator[tuple[str, App]]:
    """The commands with their names, those of groups too."""

    def below(parent: App, path: tuple[str, ...]) -> Iterator[tuple[str, App]]:
        names = [name for name in parent if not name.startswith("-")]
        if not names:
            yield " ".join(path), parent
        for name in names:
            yield from below(parent[name], (*path, name))

    return below(app, ())


def options() -> Iterator[Case]:
    """Every option of every command, each with a value that nobody means; the next of its kind for the next option."""
    supplies: dict[tuple[str, ...], Any] = {}
    for name, command in every_command():
        for argument in command.assemble_argument_collection():
            if name == "demo":
                continue  # starts six servers for whatever it is given
            values = of_type(argument.hint)
            supply = supplies.setdefault(values, cycle(values))
            yield _with_option(name, argument.names[0], next(supply), is_required=bool(argument.required))


def _with_option(command: str, option: str, value: str, *, is_required: bool) -> Case:
    words = tuple(command.split())
    rest = _without(option, GOOD.get(command, ())) if is_required else GOOD.get(command, ())
    arguments = (*words, f"{option}={value}", *rest) if is_required else (*words, *rest, f"{option}={value}")
    named = _names(option, value) if command != "doctor" else ()  # its last line names checks, not inputs
    return Case(arguments, named, SURROUNDINGS.get(words[0], {}), prepare=write_ifc, serves=words[0] in SERVING)


def _without(option: str, rest: tuple[str, ...]) -> tuple[str, ...]:
    """What else a command needs besides this option, or besides its subject."""
    at = rest.index(option) if option in rest else 0
    return rest[:at] + rest[at + (2 if option in rest else 1) :]


def _names(option: str, value: str) -> tuple[str, ...]:
    """How a sentence may name an option: as it is written, as the flow calls it, or by its value's beginning."""
    printable = "".join(char for char in value if char.isascii() and char.isprintable())
    python = option.strip("-").replace("-", "_")
    starts = [text[:12] for text in (printable, shown(value)) if text]
    return (option, python, python.replace("_", " "), *starts, "iModel", "iTwin", "block", "Unused")


def positions() -> Iterator[Case]:
    """The subject of a command, as text; and commands that there are not."""
    for name in ("ifc", "itwin", "list imodels", "list runs"):
        for value in (*TEXTS, "a/b/c/d", f"https://user:{SECRET}@evil.example/", "/" * 3000, " "):
            if value != "--json":
                yield Case((*name.split(), value), named=("iModel", "iTwin", "UTF-8"))
    for value in (*TEXTS, "ifcc", "ifc\x00"[:3] + " "):
        yield Case((value,), named=("command", "Usage", "JSON", "--json", "UTF-8"))
    for words in (("list",), ("list", LONG), ("webhooks", "\x1b[2J"), ("list", "[red]"), ("ifc", "a", "b"), ("ifc",)):
        yield Case(words)


def hostile_paths() -> Iterator[Case]:
    """Paths that are no files or folders, wherever one is given."""
    for path, make in paths():
        yield Case(("check", path), prepare=make)
        yield Case(("view", path, "--port", "0"), prepare=make, serves=True)
        yield Case(("list", "exports", path), prepare=make)
        yield Case(("ifc", "nosuch/x", f"--output-dir={path}"), prepare=make)
        yield Case(("ifc", SEEDED.plant, f"--mapping-file={path}"), prepare=make)
        yield Case(("sandbox", "--port", "0", f"--control-key-file={path}"), prepare=make, serves=True)
    for path, make in paths(PATHS[:4]):
        yield Case(("list", "runs", SEEDED.plant, f"--output-dir={path}"), prepare=make)


SETTINGS: dict[str, tuple[str, ...]] = {
    "ITWIN_API_URL": ("ftp://x", "http://evil.example", "//[::1", "https://127.0.0.1:99999", "https://", "file:///etc"),
    "ITWIN_ISSUER_URL": ("ftp://x", "http://evil.example", "https://[fe80::1%25eth0]:80", "javascript:1"),
    "ITWIN_AUTHENTICATION_TYPE": ("Robot", "\x1b[2J", LONG),
    "ITWIN_CLIENT_ID": ("\x1b[2J", LONG, "a\r\nX: y", "\udcff"),
    "ITWIN_CLIENT_SECRET": (f"{SECRET}\r\nX: y", SECRET + LONG, "\udcff" + SECRET, f"'{SECRET}'"),
    "ITWIN_SCOPE": ("\x1b[2J", LONG, "a\r\nX: y", "\udcff"),
    "ITWIN_ALLOWED_HOSTS": (",,,", "*", "http://evil", "a b", LONG, "\udcff", "[::1", "*.*.*"),
    "ITWIN_POLL_SECONDS": ("nan", "inf", "-1", "0", "9" * 5000, "1e999"),
    "ITWIN_POLL_MAX_SECONDS": ("nan", "-inf", "soon"),
    "ITWIN_OUTPUT_DIR": ("~nobody-here/x", "/dev/null", "/dev/null/x", "a/" * 1500, "\udcff", LONG),
    "ITWIN_REQUESTS_PER_MINUTE": ("0", "-1", "1e3", "9" * 5000, "\u0661"),
    "ITWIN_REQUESTS_PER_HOUR": ("0", "nan", "9" * 5000),
    "ITWIN_SHARE_REQUESTS": ("maybe", "\x1b[2J", "2"),
    "ITWIN_SHARD_SILENCE_SECONDS": ("nan", "inf", "0"),
    "ITWIN_TASK_RUNS_PER_SECOND": ("nan", "inf", "-1", "1e308"),
    "ITWIN_WEBHOOK_SECRET": (SECRET, SECRET * 5000, "\udcff" + SECRET * 3),
    "ITWIN_REDIRECT_URL": ("ftp://x", "http://127.0.0.1:99999", "//[::1", "http://evil.example:3113/", LONG),
    "ITWIN_REFRESH_TOKEN": (f"{SECRET}\r\nX: y", "\udcff" + SECRET, SECRET + LONG),
    "ITWIN_BLOB_CONNECTION_STRING": (
        f"AccountKey={SECRET}", f"AccountName=x;AccountKey={SECRET};BlobEndpoint=ftp://x", "\udcff", LONG, ";;;===",
    ),
    "ITWIN_BLOB_CONTAINER": ("../x", "\x1b[2J", "\udcff", LONG, "A B"),
    "ITWIN_BLOB_OUTPUT_SAS_URL": (f"http://evil.example/c/b?sig={SECRET}", f"//[::1?sig={SECRET}", f"ftp://x?sig={SECRET}"),
    "ITWIN_BLOB_LOGS_SAS_URL": (f"https://x/c/b?sp=r&sig={SECRET}", "\udcff" + SECRET),
    "ITWIN_WORK_DIR": ("/dev/null", "\udcff", "a/" * 1500),
    "ITWIN_RELEASE_AFTER_SECONDS": ("nan", "-1"),
    "ITWIN_PREVIEW": ("maybe", "\x1b[2J"),
    "ITWIN_TILE_SHA256": ("maybe", "2"),
    "HTTPS_PROXY": ("//x", "socks5://x", f"http://u:{SECRET}@127.0.0.1:99999", "\x1b[2J", "\udcff", "127.0.0.1:port"),
    "NO_PROXY": ("*", "\x1b[2J", LONG, "\udcff", "[::1"),
    "SSL_CERT_FILE": ("/nosuch", "/dev/zero", "/proc/self/mem", "\udcff", "\x1b[2J", "/etc/passwd", "/"),
    "SSL_CERT_DIR": ("/nosuch", "/etc/passwd", "\udcff"),
    "COLUMNS": ("0", "-1", "x", "9" * 30),
    "TERM": ("\x1b[2J", LONG), "TZ": ("../../etc/passwd", "\udcff"), "LANG": ("\udcff", "x" * 500), "NO_COLOR": ("",),
    "TMPDIR": ("/nosuch", "/dev/null"), "HOME": ("/nosuch", "/dev/null", ""), "XDG_CACHE_HOME": ("/dev/null",),
    "PREFECT_API_URL": (
        "ftp://x", "https://", "http://[fe80::1%25eth0]:80", "http://127.0.0.1:port/api", "\x1b[2J", LONG, "\udcff",
        f"http://u:{SECRET}@127.0.0.1:9/api", "http://127.0.0.1:99999/api", "//[::1", "file:///etc/passwd", "/api",
        f"http://127.0.0.1:9/api?x={SECRET}", "http://127.0.0.1:9",
    ),
    "PREFECT_API_AUTH_STRING": ("\r\nX: y" + SECRET, "\udcff" + SECRET),
    "PREFECT_HOME": ("/dev/null", "/dev/null/x", "/proc/x", "\udcff", "a/" * 1500),
    "PREFECT_PROFILE": ("nosuch", "\x1b[2J", "\udcff"),
    "PREFECT_LOGGING_LEVEL": ("LOUD", "\x1b[2J"),
    "PREFECT_LOGGING_SETTINGS_PATH": ("/nosuch", "/dev/null"),
    "PREFECT_CLIENT_MAX_RETRIES": ("-1", "soon", "9" * 5000),
    "PREFECT_SERVER_EPHEMERAL_STARTUP_TIMEOUT_SECONDS": ("0", "nan", "-1"),
    "PREFECT_API_DATABASE_CONNECTION_URL": (f"postgresql://u:{SECRET}@127.0.0.1:9/x", "nonsense", "sqlite:////dev/null"),
    "PREFECT_RESULTS_LOCAL_STORAGE_PATH": ("/dev/null",),
}  # fmt: skip
"""What is read from the environment, and values of it."""
READERS: dict[str, tuple[str, ...]] = {
    "ITWIN_BLOB": ("ifc", SEEDED.plant, "--output-location", "USER_BLOB_STORAGE"),
    "ITWIN_WEBHOOK": ("webhooks", "register", "https://hooks.example/x", "--itwin-id", SEEDED.itwin),
    "ITWIN_REDIRECT": ("login", "--no-browser", "--show-token"),
    "ITWIN_OUTPUT": ("list", "exports"),
    "PREFECT_": ("ifc", SEEDED.plant),
    "ITWIN_TASK": ("itwin", SEEDED.itwin, "--name-contains", "Plant"),
}
"""The commands that read what begins so; the quick one for all others."""


def settings() -> Iterator[Case]:
    """Each setting with each of its values, for a command that reads it."""
    for name, values in SETTINGS.items():
        command = next((words for start, words in READERS.items() if name.startswith(start)), ("list", "itwins"))
        for value in values:
            more = {"ITWIN_AUTHENTICATION_TYPE": "User"} if name == "ITWIN_REFRESH_TOKEN" else {}
            yield Case(command, environment={name: value, **more}, serves=command[0] in SERVING)
    for value in ("ftp://x", "http://127.0.0.1:port/api", "http://127.0.0.1:9/api", "\x1b[2J"):
        for command in (("doctor",), ("webhooks", "list"), ("itwin", SEEDED.itwin), ("login", "--block", "mine")):
            yield Case(command, environment={"PREFECT_API_URL": value})


GROUPS: dict[str, Callable[[], Iterator[Case]]] = {
    "options": options,
    "positions": positions,
    "paths": hostile_paths,
    "settings": settings,
    "folder files": folder_files,
    "files to read": files_to_read,
    "answers": answers,
}
