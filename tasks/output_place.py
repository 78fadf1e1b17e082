"""Where exports go: a folder, or an object store with a folder on this machine in which they are made ready."""

import errno
import hashlib
from pathlib import Path, PurePosixPath

from platformdirs import user_cache_path

from blocks.bounds import MOST_FOLDERS
from blocks.errors import InputError
from blocks.settings import read_settings, revealed
from blocks.shown_text import shown
from blocks.storage.destination.address import StoreAddress, is_store_address, parse_address
from blocks.storage.destination.store_access import StoreAccess
from tasks.addresses import LONGEST_NAME


def output_of(value: object) -> str:
    """The output folder or address as it was given; `ITWIN_OUTPUT_DIR` if `value` is empty."""
    return str(value or read_settings().output_dir)


def address_of(output: str) -> StoreAddress | None:
    """The object store that an output names; None for a folder.

    Raises:
        InputError: It is the address of no store that is supported.
    """
    return parse_address(output) if is_store_address(output) else None


def check_output_dir(value: str | Path | None) -> Path:
    """The absolute path of the output folder; `ITWIN_OUTPUT_DIR` if `value` is empty.

    Of an object store it is the folder on this machine in which exports are made ready: below `ITWIN_WORK_DIR`, else
    below the user's cache folder. It may vanish at any time.

    Raises:
        InputError: No folder can have that path, it begins with the home of an unknown user, or it is the address of no
            store that is supported.
    """
    output = output_of(value)
    address = address_of(output)
    given = _work_dir(address) if address else Path(output)
    try:
        path = given.expanduser().absolute()
        is_possible = "\0" not in str(path) and bool(str(path).encode()) and not _is_too_long(path)
    except (RuntimeError, OSError, ValueError):  # ~nobody-here, a deleted working folder, half a surrogate pair
        path, is_possible = given, False
    if not is_possible or len(path.parts) > MOST_FOLDERS:
        raise InputError(
            f"The output folder {shown(str(given), LONGEST_NAME)} cannot exist: the user after ~ is unknown, it is too "
            f"long, has characters that no path has or more than {MOST_FOLDERS} folders, or the working folder is gone."
        )
    return path


def shown_output(output: str) -> str:
    """An output as reports and events name it: the absolute path of a folder, or an address in its shortest form."""
    address = address_of(output)
    return address.url if address else str(check_output_dir(output))


def below(output_dir: str, *names: str | PurePosixPath) -> str:
    """The path or address of something below an output folder or address."""
    if not is_store_address(output_dir):
        return str(Path(output_dir, *names))
    return "/".join([output_dir.rstrip("/"), *map(str, names)])


def access_of_environment() -> StoreAccess:
    """What `AZURE_STORAGE_CONNECTION_STRING` holds; the client of the store reads every other variable itself."""
    return StoreAccess(connection_string=revealed(read_settings().azure_connection_string))


def _work_dir(address: StoreAddress) -> Path:
    root = read_settings().work_dir or user_cache_path("itwin-export") / "work"
    return root / f"{address.scheme}-{hashlib.sha256(address.url.encode()).hexdigest()[:16]}"


def _is_too_long(path: Path) -> bool:
    try:
        path.lstat()
    except OSError as error:
        return error.errno == errno.ENAMETOOLONG
    return False
