"""SAS links of the user's container have the needed permissions only, against a real Azurite."""

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import urlencode

import httpx
import pytest
from pydantic import SecretStr

from blocks.errors import ConfigurationError, TransferError
from blocks.settings import Settings
from blocks.signed_url import SignedUrl
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.download import download
from blocks.storage.renewable_link import fixed_link
from blocks.storage.retry import RetryPolicy
from blocks.storage.user_blob_storage import UserBlobStorage
from deployments.sandbox.azurite import CONTAINER, RunningAzurite

UNTIL = datetime.now(UTC) + timedelta(hours=4)
CONTENT = bytes(range(256)) * 500
KEY = "c2VjcmV0LWFjY291bnQta2V5"
HASTY = RetryPolicy(attempts=2, first_pause=0.01, longest_pause=0.01)


@pytest.fixture
def storage(azurite: RunningAzurite) -> UserBlobStorage:
    return UserBlobStorage(
        connection_string=SecretStr(azurite.connection_string), container=CONTAINER, prefix="/models/"
    )


def ready_made(
    permissions: str = "rcw", expires: str = "2099-01-01T00:00:00Z", *, path: str = "c/model.ifc", **more: str
) -> SecretStr:
    query = urlencode({"sp": permissions, "se": expires, **more, "sig": KEY})
    return SecretStr(f"https://acc.blob.core.windows.net/{path}?{query}")


def log_link(permissions: str = "w", expires: str = "2099-01-01T00:00:00Z") -> SecretStr:
    return ready_made(permissions, expires, path="c/model.log")


async def upload(link: SignedUrl, content: bytes = CONTENT) -> int:
    async with httpx.AsyncClient(timeout=60) as client:
        headers = {"x-ms-blob-type": "BlockBlob"}
        return (await client.put(link.reveal(), content=content, headers=headers)).status_code


async def fetch(link: SignedUrl, target: Path) -> bytes:
    async with AzureBlobRanges(fixed_link(link)) as source:
        await download(source, target, chunk_size=50_000, retry_policy=HASTY)
    return await asyncio.to_thread(target.read_bytes)


async def test_what_the_platform_writes_we_read(storage: UserBlobStorage, tmp_path: Path) -> None:
    """Model and log written with the platform's links are read unchanged with ours, in the configured folder."""
    target = storage.output_for("m/a b.ifc", until=UNTIL, save_logs=True)
    assert target.logs is not None
    assert [await upload(target.output), await upload(target.logs, b"log")] == [201, 201]
    log = storage.link_to_log("m/a b.ifc", until=UNTIL)
    assert log is not None
    assert await fetch(storage.link_to("m/a b.ifc", until=UNTIL), tmp_path / "a.ifc") == CONTENT
    assert await fetch(log, tmp_path / "a.log") == b"log"
    assert f"/{CONTAINER}/models/m/a%20b.ifc?" in target.output.reveal()


async def test_the_platforms_link_cannot_read(storage: UserBlobStorage, tmp_path: Path) -> None:
    """The platform's link is write-only: reading with it fails."""
    target = storage.output_for("write-only.ifc", until=UNTIL, save_logs=False)
    assert await upload(target.output) == 201
    with pytest.raises(TransferError):
        await fetch(target.output, tmp_path / "a.ifc")
    assert set(target.output.parameter("sp")) == {"c", "w"}


async def test_our_link_cannot_write(storage: UserBlobStorage) -> None:
    """Our link is read-only: writing with it fails."""
    assert await upload(storage.link_to("read-only.ifc", until=UNTIL)) == 403
    assert storage.link_to("read-only.ifc", until=UNTIL).parameter("sp") == "r"


async def test_a_link_is_good_for_one_blob_only(storage: UserBlobStorage) -> None:
    """The signature is not valid for another blob of the container."""
    link = storage.output_for("mine.ifc", until=UNTIL, save_logs=False).output.reveal()
    assert await upload(SignedUrl(link.replace("mine.ifc", "other.ifc"))) == 403


def test_links_live_until_the_deadline_and_began_before_now(storage: UserBlobStorage) -> None:
    """The expiry is as requested; the start is earlier to allow for clock skew."""
    target = storage.output_for("a.ifc", until=UNTIL, save_logs=True)
    assert target.logs is not None
    for link in (target.output, target.logs):
        assert link.expiry == UNTIL.replace(microsecond=0)
        assert datetime.fromisoformat(link.parameter("st")) < datetime.now(UTC) - timedelta(minutes=10)


def test_no_log_link_where_no_log_is_wanted(storage: UserBlobStorage) -> None:
    """Without save_logs the platform gets no link for a log."""
    assert storage.output_for("a.ifc", until=UNTIL, save_logs=False).logs is None
    given = UserBlobStorage(output_sas_url=ready_made(), logs_sas_url=ready_made())
    assert given.output_for("a.ifc", until=UNTIL, save_logs=False).logs is None


def test_nothing_printed_holds_a_signature(storage: UserBlobStorage) -> None:
    """Printed targets, links and `place` contain no signature."""
    target = storage.output_for("a.ifc", until=UNTIL, save_logs=True)
    given = UserBlobStorage(output_sas_url=ready_made())
    assert "sig=" not in f"{target} {target!r} {storage.link_to('a', until=UNTIL)!r} {storage.place} {given.place}"


def test_places_tell_storages_apart(storage: UserBlobStorage) -> None:
    """`place` differs for another folder or blob, but not for a new signature."""
    other = storage.model_copy(update={"prefix": "other"})
    assert storage.place.endswith(f"/{CONTAINER}/models")
    assert other.place != storage.place
    fresh = UserBlobStorage(output_sas_url=ready_made(expires="2098-01-01"))
    assert UserBlobStorage(output_sas_url=ready_made()).place == fresh.place


def test_a_usable_storage_passes(storage: UserBlobStorage) -> None:
    """An account, a ready-made link, one that names a stored policy and one without log pass the check."""
    storage.check(until=UNTIL, save_logs=True)
    policy = SecretStr("https://acc.blob.core.windows.net/c/b?si=policy&sig=s")
    in_folder = ready_made(sr="c", path="c/folder/model.ifc", st="2026-01-01T00:00:00Z")
    for given in (ready_made(), ready_made("rw"), policy, in_folder, ready_made(ss="b", srt="co")):
        UserBlobStorage(output_sas_url=given).check(until=UNTIL, save_logs=True)
    UserBlobStorage(output_sas_url=ready_made(), logs_sas_url=log_link()).check(until=UNTIL, save_logs=True)
    UserBlobStorage(output_sas_url=ready_made(), logs_sas_url=log_link("r")).check(until=UNTIL, save_logs=False)


EARLY = "2026-01-02T03:04:05Z"


@pytest.mark.parametrize(
    ("output", "logs", "said"),
    [
        (ready_made(expires=EARLY), None, "output SAS link expires at 2026-01-02 03:04:05 UTC"),
        (ready_made(expires="2026-01-02"), None, "expires at 2026-01-02 00:00:00 UTC"),
        (ready_made("cw"), None, "output SAS link allows “cw”; it must allow reading and writing"),
        (ready_made("r"), None, "allows “r”"),
        (ready_made(), log_link("w", EARLY), "log SAS link expires at 2026-01-02 03:04:05 UTC"),
        (ready_made(), log_link("r"), "log SAS link allows “r”; it must allow writing"),
        (ready_made(st="2098-01-01T00:00:00Z"), None, "output SAS link is not valid before 2098-01-01 00:00:00 UTC"),
        (ready_made(), ready_made("w", st="2098-01-01"), "log SAS link is not valid before 2098-01-01"),
        (ready_made(path="c", sr="c"), None, r"names the container “c” on acc\S+ and no blob in it \(sr=c\)"),
        (ready_made(path="c/", sr="c"), None, "and no blob in it"),
        (ready_made(path="", sr="c"), None, "and no blob in it"),
        (ready_made(path="c/model.ifc", sr="bs"), None, "a snapshot of a blob"),
        (ready_made(path="c/model.ifc", srt="sc", ss="b"), None, r"for the account \(srt=sc\)"),
        (ready_made(path="c/a/"), None, "ends with a slash"),
        (ready_made(), ready_made("w"), "name the same blob, “model.ifc” in container “c”"),
        (SecretStr("https://acc.blob.core.windows.net/c/b"), None, "no signature"),
        (SecretStr("model.ifc"), None, "no signature"),
    ],
)
def test_a_link_that_cannot_work_is_refused(output: SecretStr, logs: SecretStr | None, said: str) -> None:
    """A link that expires before the deadline, lacks a permission or is no SAS link is rejected by the check."""
    with pytest.raises(ConfigurationError, match=said) as caught:
        UserBlobStorage(output_sas_url=output, logs_sas_url=logs).check(until=UNTIL, save_logs=True)
    assert KEY not in str(caught.value)


@pytest.mark.parametrize(("logs", "readable"), [(None, False), (ready_made("w"), False), (ready_made("rw"), True)])
def test_a_ready_made_log_is_read_where_that_is_allowed(logs: SecretStr | None, readable: bool) -> None:
    """Without read permission there is no link to the log."""
    link = UserBlobStorage(output_sas_url=ready_made(), logs_sas_url=logs).link_to_log("a", until=UNTIL)
    assert (link is not None) == readable


@pytest.mark.parametrize(
    "text",
    [
        "nonsense",
        f"AccountName=a;AccountKey={KEY}A;BlobEndpoint=http://127.0.0.1:1/a",
        f"AccountName=a;SharedAccessSignature=sig={KEY};BlobEndpoint=http://127.0.0.1:1/a",
        f"AccountKey={KEY}",
    ],
)
def test_a_connection_string_that_cannot_be_used(text: str) -> None:
    """For an invalid connection string the message says what to check and contains no key."""
    storage = UserBlobStorage(connection_string=SecretStr(text), container="c")
    with pytest.raises(ConfigurationError, match="connection string") as caught:
        storage.check(until=UNTIL, save_logs=False)
    assert KEY not in str(caught.value)


def test_the_environment_names_a_storage() -> None:
    """The environment needs a connection string with a container, or a ready-made link."""
    string, container = SecretStr(f"AccountName=a;AccountKey={KEY}"), "exports"
    minted = UserBlobStorage.from_settings(Settings(blob_connection_string=string, blob_container=container))
    assert (minted.connection_string, minted.container) == (string, container)
    given = UserBlobStorage.from_settings(Settings(blob_output_sas_url=ready_made(), blob_logs_sas_url=ready_made("w")))
    assert given.output_sas_url == ready_made()
    for half in (Settings(), Settings(blob_connection_string=string), Settings(blob_container="c")):
        with pytest.raises(ConfigurationError, match="ITWIN_BLOB_OUTPUT_SAS_URL"):
            UserBlobStorage.from_settings(half)
