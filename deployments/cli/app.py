"""The commands and how they end."""

import asyncio
import os
import sys
from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from importlib.metadata import version
from pathlib import Path

from cyclopts import App, CycloptsError
from rich.console import Console

from blocks.bounds import LONGEST_NAME, MIB
from blocks.errors import ConfigurationError, ExportError, InputError, read_more, without_secrets
from blocks.shared_folder import read_bounded
from blocks.shown_text import in_terminal, is_text, shown
from deployments.cli.prefect_settings import import_prefect, is_about_settings, prefect_home, unusable_settings
from deployments.stop_signals import INTERRUPTED

BAD_INPUT = 2
DOTENV = ".env"
SETTINGS_FILES = {"prefect.toml": MIB, "pyproject.toml": MIB, DOTENV: 64 * 1024}
"""Settings files that Prefect and pydantic-settings read in the working folder, each with its largest size in bytes."""

_OF_PYTHON = (OSError, RuntimeError, TypeError, ValueError, AttributeError)
"""What Prefect raises when it cannot read its settings; anywhere else nobody foresaw it."""

errors = Console(stderr=True, soft_wrap=True, highlight=False)

app = App(
    name="itwin-export",
    version=lambda: version("itwin-export"),
    help="Export iModels from the iTwin Platform as IFC files and 3D Tiles.",
    help_format="plaintext",
    result_action="return_value",
    suppress_keyboard_interrupt=False,  # the ending is ours: a sentence and the exit code
)


def run(arguments: Sequence[str]) -> int:
    """Run one command.

    Returns:
        0 done or skipped, 1 failed, 2 bad input or configuration, 3 not authorised, 4 deadline passed, 5 rejected by
        acceptance rules, 130 interrupted.
    """
    try:
        _check_texts(arguments)
        _check_command(arguments)
        _check_settings_files()
        _import_command(arguments)
        app(arguments, exit_on_error=False, print_error=False)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _complain("Interrupted.", INTERRUPTED)
    except _known_errors() as error:
        sentence, exit_code = _ending(error)
        return _complain(sentence, exit_code)
    return 0


def _check_texts(arguments: Sequence[str]) -> None:
    """Refuse bytes that are no text: they could be neither sent nor stored."""
    for argument in arguments:
        if not is_text(argument):
            raise InputError(f"“{shown(argument, LONGEST_NAME)}” is not UTF-8. Write it in UTF-8.")
    for name, value in os.environ.items():
        if name.startswith(("ITWIN_", "PREFECT_")) and not is_text(value):
            raise ConfigurationError(f"The variable {name} is not UTF-8. Write it in UTF-8, or unset it.")


def _check_command(arguments: Sequence[str]) -> None:
    """Refuse an unknown command; cyclopts would import every command to find a similar name."""
    if arguments and not arguments[0].startswith("-") and arguments[0] not in COMMANDS:
        similar = get_close_matches(arguments[0], COMMANDS, n=1)
        meant = f" Did you mean “{similar[0]}”?" if similar else ""
        given = without_secrets(arguments[0])
        raise InputError(f"There is no command “{given}”.{meant} Commands: {', '.join(COMMANDS)}.")


def _check_settings_files() -> None:
    """Refuse what settings would break off at, or wait at for ever, in this folder and in Prefect's."""
    for name, longest in SETTINGS_FILES.items():
        if (reason := _fault_of(Path(name), longest)) and not (name == DOTENV and Path(name).is_dir()):
            raise ConfigurationError(f"{name} of this folder cannot be read ({reason}). Correct or remove it.")
    profiles = prefect_home() / "profiles.toml"
    if reason := _fault_of(profiles, MIB):
        raise ConfigurationError(f"{profiles} cannot be read ({reason}). Correct or remove it.")


def _fault_of(file: Path, longest: int) -> str:
    """Why the file cannot be read; empty if it can, or is not there."""
    try:
        read_bounded(file, longest, may_be_link=True).decode()
    except (FileNotFoundError, NotADirectoryError):
        return ""
    except OSError as error:
        return error.strerror or type(error).__name__
    except UnicodeDecodeError:
        return "it is not in UTF-8"
    return ""


def _import_command(arguments: Sequence[str]) -> None:
    """Import the module of a command, and with it Prefect where it needs that.

    Raises:
        ConfigurationError: Prefect cannot read its settings, as it does on import.
    """
    if not arguments or arguments[0] not in COMMANDS:
        return
    try:
        if arguments[0] in WITH_PREFECT:
            import_prefect()
        import_module(COMMANDS[arguments[0]][0].partition(":")[0])
    except (OSError, ValueError, RecursionError) as error:
        raise ConfigurationError(unusable_settings(error)) from None


def _known_errors() -> tuple[type[Exception], ...]:
    """Errors that have a sentence for people; the libraries' own only where the library was in use."""
    known: list[type[Exception]] = [ExportError, CycloptsError, *_OF_PYTHON]
    for module, name in (("httpx", "HTTPError"), ("httpx", "InvalidURL"), ("prefect.exceptions", "ParameterTypeError")):
        if loaded := sys.modules.get(module):
            known.append(getattr(loaded, name))
    return tuple(known)


def _ending(error: Exception) -> tuple[str, int]:
    """What to say and how to end; an error that nobody foresaw is raised on, with its stack."""
    said = without_secrets(str(error))
    match error:
        case ExportError():
            return read_more(str(error), error.articles), error.exit_code
        case CycloptsError():
            return f"{said} See: itwin-export --help", BAD_INPUT
        case RuntimeError() if "reach API" in said:  # how Prefect says that its API is not there
            return _unreachable(said), BAD_INPUT
        case _ if is_about_settings(error):
            return unusable_settings(error), BAD_INPUT
        case _ if isinstance(error, _OF_PYTHON):
            raise error
        case _ if type(error).__name__ == "ParameterTypeError":
            return said, BAD_INPUT
        case _:
            return _unreachable(said), BAD_INPUT


def _unreachable(reason: str) -> str:
    from deployments.cli.prefect_api import unreachable  # noqa: PLC0415  imports Prefect

    return unreachable(reason)


def _complain(sentence: str, exit_code: int) -> int:
    errors.print(f"itwin-export: {in_terminal(sentence)}", markup=False)
    return exit_code


COMMANDS = {
    "ifc": ("deployments.cli.exports:ifc", "Export an iModel as an IFC file, fetch it and verify it."),
    "mesh": ("deployments.cli.exports:mesh", "Export an iModel as a 3D Tiles tileset, fetch it whole and verify it."),
    "itwin": (
        "deployments.cli.exports:itwin",
        "Export every iModel of an iTwin; iModels that have not changed since their last export are skipped.",
    ),
    "federate": (
        "deployments.cli.federating:federate",
        "Publish one tileset for a whole iTwin, which refers to the published tilesets of its iModels.",
    ),
    "list": ("deployments.cli.lists:app", "List iTwins, iModels, versions, changesets, runs and exports."),
    "doctor": (
        "deployments.cli.doctor.command:doctor",
        "Check configuration, network, sign-in, disk, pictures, Prefect API and worker; end with 2 if one is wrong.",
    ),
    "login": (
        "deployments.cli.login:login",
        "Sign in with a browser and keep the refresh token, so that scheduled runs work as you.",
    ),
    "view": (
        "deployments.cli.viewing:view",
        "Show exported tiles and IFC files in the browser, from this machine only.",
    ),
    "check": ("deployments.cli.checking:check", "Say what an IFC file or a tileset contains, whoever made it."),
    "webhooks": ("deployments.cli.webhooks:app", "Manage subscriptions to changes of iModels."),
    "automations": (
        "deployments.cli.automations:app",
        "Create, compare and delete automations: notices and what follows exports.",
    ),
    "sandbox": (
        "deployments.cli.sandbox_commands:sandbox",
        "Serve a stand-in iTwin Platform on this machine, to try things out without an account.",
    ),
    "demo": (
        "deployments.cli.sandbox_commands:demo",
        "Export two IFC files from a stand-in platform, one through Storage and one through your own blob storage.",
    ),
}
"""Where each command is, and its first sentence: modules are imported only when their command is used."""
WITH_PREFECT = frozenset({"doctor", "login", "webhooks"})
"""Commands whose module imports Prefect; others import it when it is needed."""

for _name, (_place, _help) in COMMANDS.items():
    app.command(_place, name=_name, help=_help)
