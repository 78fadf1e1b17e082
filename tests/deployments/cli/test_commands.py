"""The command itself: real processes, real exit codes."""

import json
import os
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path

import pytest

from deployments.cli.app import BAD_INPUT, run
from deployments.sandbox.azurite import RunningAzurite
from deployments.sandbox.server import RunningSandbox
from deployments.sandbox.state.entities import Outcome
from deployments.sandbox.state.seed import SEEDED
from tasks.reports import ExportReport
from tests.processes.server import REPOSITORY

NOWHERE = "http://127.0.0.1:9"


def itwin_export(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    """Run the command as a person would."""
    command = [sys.executable, "-m", "deployments", *arguments]
    return subprocess.run(
        command, env=os.environ | environment, capture_output=True, text=True, check=False, timeout=500
    )


@pytest.fixture
def server(prefect_server: str, sandbox: RunningSandbox, monkeypatch: pytest.MonkeyPatch) -> RunningSandbox:
    """The environment of a person with a Prefect server and credentials."""
    monkeypatch.setenv("PREFECT_API_URL", prefect_server)
    return sandbox


def test_an_export_prints_one_report_on_stdout(server: RunningSandbox, tmp_path: Path) -> None:
    """With --json, stdout is one ExportReport and nothing else, and the exit code is 0."""
    done = itwin_export("ifc", SEEDED.plant, "--json")
    report = ExportReport.model_validate_json(done.stdout)
    assert done.returncode == 0
    assert [run.id for run in server.state.runs] == [report.run_id]
    assert all((tmp_path / "exports" / file.path).stat().st_size == file.size for file in report.files)


def test_an_export_is_named_and_not_numbered(server: RunningSandbox) -> None:
    """From nothing but names a process exports the changeset of the named version, and its table shows that name."""
    state = server.state
    version = state.name_version(SEEDED.plant, "Issued for tender", index=3)
    done = itwin_export("ifc", "Campus/Plant A", "--named-version", "Issued for tender")
    assert done.returncode == 0, done.stderr
    assert f"{str(version.changeset_id)[:10]} (Issued for tender)" in done.stdout
    assert [(run.imodel_id, run.changeset_id) for run in state.runs] == [(SEEDED.plant, version.changeset_id)]


@pytest.mark.parametrize("location", ["STORAGE", "USER_BLOB_STORAGE"])
def test_a_mapping_file_changes_what_comes(
    server: RunningSandbox, azurite: RunningAzurite, tmp_path: Path, location: str
) -> None:
    """`--mapping-file` names a file on this machine, whether the export comes from Storage or through a container."""
    mapping = tmp_path / "mapping.json"
    mapping.write_text('{"Mapping": [{"Class": ["SandboxDynamic", "Wall", "IfcColumn"]}]}')
    options = ("--mapping-file", str(mapping), "--output-location", location, "--json")
    done = itwin_export("ifc", SEEDED.bridge, *options, **azurite.environment)
    assert done.returncode == 0, done.stderr
    files = ExportReport.model_validate_json(done.stdout).files
    (model,) = [tmp_path / "exports" / file.path for file in files if file.role == "model"]
    assert (b"=IFCCOLUMN(" in model.read_bytes(), b"=IFCWALL(" in model.read_bytes()) == (True, False)
    (run,) = server.state.runs
    handed_over = {"STORAGE": "mappingFileId", "USER_BLOB_STORAGE": "mappingfileBlobUrl"}[location]
    assert handed_over in run.request["inputOptions"]


def test_a_table_tells_people_what_came(server: RunningSandbox) -> None:
    """Without --json a table names file, size, changeset, run and result."""
    done = itwin_export("ifc", SEEDED.plant)
    (run,) = server.state.runs
    assert all(text in done.stdout for text in ("Plant A.ifc", "kB", run.id, str(run.changeset_id)[:10], "Success"))


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "sentence"),
    [
        (("ifc", "nonsense"), {}, 2, "“nonsense” is not an iModel: give its id, its name with that of its iTwin"),
        (("ifc", SEEDED.plant, "--changeset-id", "1", "--named-version", "v"), {}, 2, "changeset_id and named_version"),
        (("ifc", SEEDED.plant, "--ifc-version", "IFC5"), {}, 2, "IFC2x3 CV 2.0"),
        (("ifc", SEEDED.plant, "--timeout-minutes", "0"), {}, 2, "timeout_minutes is 0"),
        (("ifc", SEEDED.plant, "--mapping-file", "nosuch.json"), {}, 2, "There is no mapping file"),
        (("ifc", SEEDED.plant, "--changeset-id", "xyz"), {}, 2, "“xyz” is not a changeset"),
        (("ifc", SEEDED.plant), {"ITWIN_POLL_SECONDS": "never"}, 2, "ITWIN_POLL_SECONDS"),
        (("ifc", SEEDED.plant), {"SSL_CERT_FILE": "/nosuch.pem"}, 2, "SSL_CERT_FILE names /nosuch.pem"),
        (("ifc", SEEDED.plant), {"HTTPS_PROXY": "socks5://127.0.0.1:9"}, 2, "HTTPS_PROXY names a SOCKS proxy"),
        (("ifc", SEEDED.plant), {"ALL_PROXY": "socks5://127.0.0.1:9"}, 2, "ALL_PROXY names a SOCKS proxy"),
        (("ifc", SEEDED.plant), {"PREFECT_API_URL": "http://127.0.0.1:port/api"}, 2, "is no address of a Prefect API"),
        (("ifc", SEEDED.plant), {"PREFECT_API_URL": "ftp://127.0.0.1/api"}, 2, "is no address of a Prefect API"),
        (("ifc", SEEDED.plant), {"PREFECT_API_URL": "//[::1"}, 2, "Prefect's settings cannot be read"),
        (("doctor",), {"PREFECT_CLIENT_MAX_RETRIES": "soon"}, 2, "max_retries: Input should be a valid integer"),
        (("webhooks", "list"), {"SSL_CERT_FILE": "/nosuch.pem"}, 2, "SSL_CERT_FILE names /nosuch.pem"),
        (("ifc",), {}, 2, "imodel-id"),
        (("nosuch",), {}, 2, "nosuch"),
    ],
)
def test_bad_input_costs_one_sentence(
    arguments: tuple[str, ...], environment: dict[str, str], exit_code: int, sentence: str
) -> None:
    """What cannot be understood is named in one sentence, with exit code 2, before any server is started."""
    done = itwin_export(*arguments, **environment)
    assert done.returncode == exit_code
    assert sentence.lower() in done.stderr.lower()
    assert "Traceback" not in done.stderr
    assert "server" not in done.stderr


def no_toml(path: Path) -> None:
    path.write_text("nonsense [")


def no_text(path: Path) -> None:
    path.write_bytes(b"\xff\xfe")


def circle(path: Path) -> None:
    path.symlink_to(path)


@pytest.mark.parametrize(
    ("make", "sentence"),
    [
        (no_toml, "Prefect's settings cannot be read (SettingsError"),
        (no_text, "prefect.toml of this folder cannot be read (it is not in UTF-8)"),
        (Path.mkdir, "prefect.toml of this folder cannot be read (Is a directory)"),
        (os.mkfifo, "prefect.toml of this folder cannot be read (Not a regular file)"),
        (circle, "prefect.toml of this folder cannot be read (Too many levels"),
    ],
    ids=["no TOML", "no text", "folder", "FIFO", "circle"],
)
@pytest.mark.usefixtures("sandbox")
def test_an_unreadable_prefect_toml_costs_one_sentence(
    make: Callable[[Path], object], sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also for a command that needs Prefect only for saved credentials."""
    make(tmp_path / "prefect.toml")
    monkeypatch.chdir(tmp_path)
    done = itwin_export("list", "itwins", PYTHONPATH=str(REPOSITORY))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert sentence in done.stderr


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[tool.prefect]\napi = 3\n", "(api is not a table)"),
        ("[tool.prefect.api]\nurl = 3\n", "(url: Input should be a valid string)"),
        ("tool = 3\n", "(AttributeError"),
    ],
    ids=["a number for a table", "a number for an address", "no table at all"],
)
def test_a_wrong_table_of_pyproject_toml_costs_one_sentence(
    text: str, sentence: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Settings of another type than Prefect expects end with one line and exit code 2, and no stack trace."""
    (tmp_path / "pyproject.toml").write_text(text)
    monkeypatch.chdir(tmp_path)
    done = itwin_export("list", "itwins", PYTHONPATH=str(REPOSITORY))
    assert (done.returncode, len(done.stderr.splitlines())) == (2, 1), done.stderr
    assert f"Prefect's settings cannot be read {sentence}" in done.stderr


@pytest.mark.parametrize(
    ("variable", "value", "arguments", "sentence"),
    [
        ("PREFECT_API_URL", "http://127.0.0.1:port/api", ("webhooks", "list"), "http://127.0.0.1:port/api, named by"),
        (
            "PREFECT_API_URL",
            "http://u:hostile-4711@127.0.0.1:9/api",
            ("ifc", SEEDED.plant),
            "http://u:…@127.0.0.1:9/api",
        ),
        ("PREFECT_HOME", "/".join(["a"] * 1500), ("ifc", SEEDED.plant), "its path has too many parts"),
        ("PREFECT_LOGGING_SETTINGS_PATH", "/", ("ifc", SEEDED.plant), "cannot be read (/: Is a directory)"),
    ],
    ids=["a port that is none", "a password in an address", "a path of many parts", "a folder for a file"],
)
def test_a_variable_that_prefect_cannot_use_costs_one_sentence(
    variable: str,
    value: str,
    arguments: tuple[str, ...],
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What Prefect would break off at with a stack trace ends with a sentence that names it, and with exit code 2."""
    monkeypatch.chdir(tmp_path)
    service = {"ITWIN_AUTHENTICATION_TYPE": "Service", "ITWIN_CLIENT_ID": "a", "ITWIN_CLIENT_SECRET": "secret-of-a"}
    done = itwin_export(*arguments, **service, **{variable: value}, PYTHONPATH=str(REPOSITORY))
    assert (done.returncode, "Traceback" in done.stderr) == (2, False), done.stderr
    assert sentence in done.stderr.splitlines()[-1]
    assert "hostile-4711" not in done.stderr


def test_profiles_that_are_no_file_are_not_waited_for(tmp_path: Path) -> None:
    """A FIFO in place of Prefect's profiles costs a sentence instead of a wait without end."""
    os.mkfifo(tmp_path / "profiles.toml")
    done = itwin_export("list", "itwins", PREFECT_HOME=str(tmp_path))
    assert done.returncode == 2
    assert "profiles.toml cannot be read (Not a regular file)" in done.stderr


@pytest.mark.parametrize("arguments", [("{}",), ("list", "itwins", "--credentials={}")])
def test_a_signature_in_the_wrong_place_is_not_repeated(arguments: tuple[str, ...]) -> None:
    """A signed address where a command or the name of a block was expected is named without its query."""
    signed = "https://evil.example/a?sig=hostile-4711"
    done = itwin_export(*(argument.format(signed) for argument in arguments))
    assert done.returncode == 2
    assert "https://evil.example/a?…" in done.stderr
    assert "hostile-4711" not in done.stderr


def long_quotation(path: Path) -> None:
    path.write_text('ITWIN_CLIENT_ID="' + "x" * 70_000)


@pytest.mark.parametrize(
    ("make", "exit_code", "sentence"),
    [
        (os.mkfifo, 2, ".env of this folder cannot be read (Not a regular file)"),
        (long_quotation, 2, ".env of this folder cannot be read (File too large)"),
        (no_text, 2, ".env of this folder cannot be read (it is not in UTF-8)"),
        (Path.mkdir, 0, ""),
    ],
    ids=["FIFO", "long", "no text", "folder"],
)
@pytest.mark.usefixtures("sandbox")
def test_an_unreadable_env_file_holds_up_no_command(
    make: Callable[[Path], object],
    exit_code: int,
    sentence: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """A file .env that would be waited at, or read for minutes, costs one sentence; a folder of that name nothing."""
    make(tmp_path / ".env")
    (tmp_path / "exports").mkdir()
    monkeypatch.chdir(tmp_path)
    assert run(["list", "exports"]) == exit_code
    assert sentence in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "environment", "exit_code", "sentence"),
    [
        ((), {"ITWIN_CLIENT_SECRET": ""}, 2, "ITWIN_CLIENT_SECRET is not set"),
        ((), {"ITWIN_CLIENT_SECRET": "wrong"}, 3, "refuses client sandbox-service"),
        (("--credentials", "nosuch"), {}, 2, "no itwin-credentials block named “nosuch”"),
        (("--output-location", "USER_BLOB_STORAGE"), {"ITWIN_BLOB_CONTAINER": ""}, 2, "ITWIN_BLOB_CONTAINER"),
        ((), {"ITWIN_API_URL": NOWHERE, "ITWIN_ISSUER_URL": NOWHERE}, 1, f"{NOWHERE} could not be reached"),
        ((), {"PREFECT_API_URL": f"{NOWHERE}/api"}, 2, "Start a Prefect server there"),
        (("--output-dir", f"{__file__}/x"), {}, 2, "Not a directory"),
    ],
)
def test_what_cannot_work_costs_one_sentence(
    server: RunningSandbox, arguments: tuple[str, ...], environment: dict[str, str], exit_code: int, sentence: str
) -> None:
    """A missing, wrong or unreachable thing is named in one sentence, with its exit code, and starts nothing."""
    done = itwin_export("ifc", SEEDED.plant, *arguments, **environment)
    assert done.returncode == exit_code
    assert sentence in done.stderr.splitlines()[-1]
    assert "Traceback" not in done.stderr
    assert not list(server.state.runs)


def test_the_version_is_told(capsys: pytest.CaptureFixture[str]) -> None:
    """`--version` prints the version of what is installed."""
    assert run(["--version"]) == 0
    assert capsys.readouterr().out.strip() == version("itwin-export")


def test_bytes_that_are_no_text_are_refused(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """An argument and a variable that are not UTF-8, which no service could be sent, are named."""
    assert run(["itwin", "Plant\udcff"]) == BAD_INPUT
    assert "“Plant\\udcff” is not UTF-8" in capsys.readouterr().err
    monkeypatch.setenv("PREFECT_API_URL", "\udcff")
    assert run(["list", "itwins"]) == BAD_INPUT
    assert "The variable PREFECT_API_URL is not UTF-8" in capsys.readouterr().err


@pytest.mark.parametrize("key", ["/dev/zero", "nosuch.key", "."])
def test_a_key_is_read_from_a_file(key: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A device, a missing file and a folder are no file with a key; an endless one does not fill the memory."""
    assert run(["sandbox", "--port", "0", "--control-key-file", key]) == BAD_INPUT
    assert f"The key cannot be read from {key}" in capsys.readouterr().err


@pytest.mark.parametrize("command", ["demo", "sandbox"])
def test_a_missing_extra_is_named(command: str) -> None:
    """Without the packages of the extra `sandbox` the command ends with 2 and says what to install."""
    code = "import sys; sys.modules['trimesh'] = None; from deployments.cli import main; main()"
    done = subprocess.run(
        [sys.executable, "-c", code, command], capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "The sandbox needs trimesh" in done.stderr
    assert "pip install 'itwin-export[sandbox]'" in done.stderr


@pytest.mark.usefixtures("server")
def test_an_unknown_imodel_is_named() -> None:
    """An iModel that does not exist is bad input, named with what the platform said."""
    done = itwin_export("ifc", "00000000-0000-4000-8000-000000000000")
    assert (done.returncode, "iModelNotFound" in done.stderr) == (2, True)


def test_a_failed_run_ends_with_exit_code_1(server: RunningSandbox, tmp_path: Path) -> None:
    """A failed export says why and where to read more, ends with 1 and leaves nothing under the final name."""
    article = "https://vendor.example/kb?id=1&n=2"
    error = {"errorCode": "TAE_BRW_1000", "kbArticleLink": article}
    server.state.script(SEEDED.plant, Outcome(result="Error", error=error))
    done = itwin_export("ifc", SEEDED.plant)
    assert done.stderr.rstrip().endswith(f"Read more: {article}")
    assert (done.returncode, "TAE_BRW_1000" in done.stderr) == (1, True)
    assert not list((tmp_path / "exports").rglob("ifc/*"))


def test_a_passed_deadline_ends_with_exit_code_4(server: RunningSandbox) -> None:
    """A deadline that passes says that the run goes on, with exit code 4; the same command later adopts the run."""
    server.state.script(SEEDED.plant, Outcome(seconds=8))
    late = itwin_export("ifc", SEEDED.plant, "--timeout-minutes", "0.02")
    later = itwin_export("ifc", SEEDED.plant, "--json")
    assert (late.returncode, "run the same command again" in late.stderr.lower()) == (4, True)
    assert json.loads(later.stdout)["adopted"]
    assert len(list(server.state.runs)) == 1
