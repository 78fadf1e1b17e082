"""What object stores do at times, and what comes of it."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from functools import partial
from itertools import count
from pathlib import Path

import pytest
from azure.storage.blob import generate_container_sas

from blocks.errors import ConfigurationError, DiskError, ExportError, InterruptedTransferError
from blocks.storage.destination import store_access
from blocks.storage.destination.address import parse_address
from blocks.storage.destination.object_store import MISSING, ObjectStore
from blocks.storage.destination.store_access import StoreAccess, open_store
from blocks.storage.destination.store_errors import ChangedMeanwhileError
from blocks.storage.destination.store_probe import try_store
from blocks.storage.destination.web_access import describe_web_access
from deployments.sandbox.azurite import ACCOUNT, CONTAINER, RunningAzurite
from tests.object_stores.destinations import S3_SECRET, StoreUnderTest, of_azurite, of_xml_store, s3_access
from tests.object_stores.xml_store import Answer, XmlStore


def once(answer: Answer, method: str = "PUT") -> Callable[[str, str], Answer | None]:
    """A fault of the first request with that method."""
    numbers = count()
    return lambda asked, _: answer if asked == method and next(numbers) == 0 else None


def test_a_repeated_write_meets_its_own_success(s3_store: XmlStore) -> None:
    """A write whose answer was lost is repeated; the store refuses that and holds the same content: success."""
    store = of_xml_store(s3_store).open()
    s3_store.fault = once(Answer(500, "InternalError", is_done=True))
    version = store.write("manifest.json", b"mine", condition=MISSING)
    s3_store.fault = once(Answer(503, "SlowDown", is_done=True))
    store.write("manifest.json", b"mine again", condition=version)
    found = store.read("manifest.json", 100)
    assert found
    assert found.content == b"mine again"
    assert [method for method, _ in s3_store.requests].count("PUT") == 4


def test_a_repeated_write_that_lost_is_refused(s3_store: XmlStore) -> None:
    """Where somebody else has written meanwhile, also something of the same length, the repetition does not count."""
    store = of_xml_store(s3_store).open()
    store.write("manifest.json", b"theirs", condition=MISSING)
    s3_store.fault = once(Answer(500, "InternalError"))
    with pytest.raises(ChangedMeanwhileError):
        store.write("manifest.json", b"unlike", condition=MISSING)


def test_a_conflict_of_s3_means_try_again(s3_store: XmlStore) -> None:
    """409 ConditionalRequestConflict is no refusal: the write is repeated and succeeds."""
    store = of_xml_store(s3_store).open()
    s3_store.fault = once(Answer(409, "ConditionalRequestConflict"))
    store.write("manifest.json", b"mine", condition=MISSING)
    found = store.read("manifest.json", 100)
    assert found
    assert found.content == b"mine"


@pytest.mark.parametrize(
    ("answer", "kind", "says"),
    [
        (Answer(403, "AccessDenied"), ConfigurationError, r"does not permit to write a.json \(403 AccessDenied\)"),
        (Answer(400, "ExpiredToken"), ConfigurationError, r"have expired \(400 ExpiredToken\): write a.json did not"),
        (Answer(403, "RequestTimeTooSkewed"), ConfigurationError, "finds the clock of this machine wrong"),
        (Answer(403, "AuthenticationFailed"), ConfigurationError, "A SAS may have expired, or begin later than now"),
        (Answer(301, "PermanentRedirect"), ConfigurationError, "is in another region"),
        (Answer(404, "NoSuchBucket"), ConfigurationError, "The container or bucket of .* does not exist"),
        (Answer(507, "InsufficientStorage"), DiskError, "has reached its quota"),
        (Answer(403, "QuotaExceeded"), DiskError, "has reached its quota"),
        (Answer(500, "InternalError"), InterruptedTransferError, r"did not write a.json \(500 InternalError\)"),
    ],
)
def test_a_refusal_is_one_sentence(
    answer: Answer, kind: type[ExportError], says: str, s3_store: XmlStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Status and code of the store are named; neither its message nor a secret is repeated."""
    monkeypatch.setitem(store_access.RETRIES, "max_retries", 1)
    store = of_xml_store(s3_store).open()
    s3_store.fault = lambda _method, _key: answer
    with pytest.raises(kind, match=says) as refused:
        store.write("a.json", b"1")
    assert "secret-echo" not in str(refused.value)
    assert S3_SECRET not in str(refused.value) + repr(store) + repr(store.__dict__)


@pytest.mark.parametrize("answer", [Answer(403, "AccessDenied"), Answer(401, "AccessDenied")])
@pytest.mark.parametrize(
    ("ask", "what"), [(partial(ObjectStore.entries, prefix="mesh"), "list mesh"), (ObjectStore.folders, "list")]
)
def test_a_listing_that_is_denied_is_named(
    answer: Answer, ask: Callable[[ObjectStore], object], what: str, s3_store: XmlStore
) -> None:
    """A listing that is denied is about the role or key, as any other request, and not one to be repeated."""
    s3_store.fault = lambda _method, _key: answer
    says = rf"does not permit to {what} \({answer.status} AccessDenied\)\. Check the key, the SAS or the role"
    with pytest.raises(ConfigurationError, match=says):
        ask(of_xml_store(s3_store).open())
    assert len(s3_store.requests) == 1


def test_a_sas_that_does_not_permit_to_list_is_named(azurite: RunningAzurite) -> None:
    """A SAS with every permission except list is refused by Azure, and the message says what to check."""
    expiry = datetime.now(UTC) + timedelta(hours=1)
    sas = generate_container_sas(ACCOUNT, CONTAINER, account_key=azurite.key, permission="rwdc", expiry=expiry)
    access = StoreAccess(connection_string=f"BlobEndpoint={azurite.url}/{ACCOUNT};SharedAccessSignature={sas}")
    store = open_store(parse_address(f"az://{CONTAINER}/listed"), access)
    store.write("a.json", b"1")
    with pytest.raises(ConfigurationError, match=r"does not permit to list \(403 AuthorizationPermissionMismatch\)"):
        store.entries("")


def test_a_store_that_is_not_there_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An address where nothing listens ends in one sentence."""
    monkeypatch.setitem(store_access.RETRIES, "max_retries", 1)
    access = s3_access("http://127.0.0.1:9")
    with pytest.raises(InterruptedTransferError, match=r"no answer\. Run the same command again"):
        open_store(parse_address("s3://exports/x"), access).read("a.json", 10)


@pytest.mark.parametrize("is_enforced", [True, False])
def test_a_store_that_ignores_conditions_is_found_out(s3_store: XmlStore, *, is_enforced: bool) -> None:
    """The probe names a store that accepts a write although its condition does not hold, and leaves nothing behind."""
    s3_store.ignores_conditions = not is_enforced
    store = of_xml_store(s3_store).open()
    with nullcontext() if is_enforced else pytest.raises(ConfigurationError, match="ignores conditions of writes"):
        try_store(store)
    assert store.entries("") == {}


def test_the_probe_holds_everywhere(destination: StoreUnderTest) -> None:
    """Azurite, moto's S3 and the Google Cloud server have everything that publishing needs."""
    store = destination.open()
    try_store(store)
    assert store.entries("") == {}


@pytest.mark.parametrize(
    ("allowed", "says"),
    [("*", "may read there"), ("https://other.example", "may not read there"), ("", "may not read")],
)
def test_whether_web_pages_may_read_is_told(allowed: str, says: str, s3_store: XmlStore) -> None:
    """The store is asked as a page with CesiumJS would; nothing is left behind."""
    s3_store.allowed_origin = allowed
    store = of_xml_store(s3_store).open()
    assert says in describe_web_access(store)
    assert store.entries("") == {}


def test_a_store_without_cors_says_what_to_set(azurite: RunningAzurite) -> None:
    """Azurite without a rule: the sentence names the methods and headers that a rule needs."""
    assert "the methods GET and HEAD" in describe_web_access(of_azurite(azurite).open())


def test_a_failed_upload_leaves_no_parts(s3_store: XmlStore, tmp_path: Path) -> None:
    """A file of several parts of which one is refused: the parts that have arrived are removed, nothing is visible."""
    file, numbers = big_file(tmp_path, b"x"), count()
    s3_store.fault = lambda method, _: Answer(403, "AccessDenied") if method == "PUT" and next(numbers) == 1 else None
    store = of_xml_store(s3_store).open()
    with pytest.raises(ConfigurationError):
        store.upload("model.ifc", file, {})
    assert s3_store.parts == {}
    assert s3_store.objects == {}


def test_two_uploads_of_one_name_both_end(azurite: RunningAzurite, tmp_path: Path) -> None:
    """Azure discards the blocks of the upload that commits later: it is made again, and never is there a mixture."""
    store = of_azurite(azurite).open()
    files = [big_file(tmp_path, letter) for letter in (b"a", b"b")]
    with ThreadPoolExecutor(len(files)) as pool:
        list(pool.map(partial(store.upload, "model.ifc", headers={}), files))
    opened = store.open("model.ifc")
    assert opened
    assert len(set(b"".join(opened.pieces))) == 1


def big_file(folder: Path, letter: bytes) -> Path:
    """A file of three parts."""
    path = folder / letter.decode()
    path.write_bytes(letter * (20 * 1024 * 1024))
    return path
