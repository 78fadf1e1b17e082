"""Tiles and one big file from one Azurite into another, over TLS with 40 ms round trip.

`python -m tests.benchmarks.into_a_store [tiles|file ROUNDS COUNT_OR_GIGABYTES]`; without arguments both. Writes
sections of REPORT.md. Needs Node (`make node`), openssl and rclone; azcopy where `AZCOPY` names its binary.
"""

import asyncio
import base64
import dataclasses
import json
import os
import random
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Generator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple
from urllib.parse import urlsplit

from azure.storage.blob import ContainerClient, generate_account_sas

from blocks.signed_url import SignedUrl
from blocks.storage.destination.address import parse_address
from blocks.storage.destination.file_upload import FileUploads
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import StoreAccess, open_store
from blocks.storage.destination.stored_tileset import StoredTileset
from blocks.storage.download.azure_source import AzureBlobRanges
from blocks.storage.download.download import download
from blocks.storage.manifest import Manifest, ManifestFile
from blocks.storage.renewable_link import fixed_link
from blocks.storage.tileset.download import fetch_tileset
from blocks.storage.tileset.verify import verify_tileset
from deployments.node_tools import find_node
from deployments.sandbox.azurite import azurite_process
from tests.benchmarks.big_file import peak_megabytes
from tests.benchmarks.blob_host import certify, make_glb
from tests.benchmarks.report import machine, put_section

ROUNDS, TILES, SIZES, GIGABYTES, MILLISECONDS = 3, 5_000, (10_000, 500_000), 5, 40
GIGABYTE = 1_000_000_000
FILE = "model.ifc"
ACCOUNT, KEY = "benchmark", base64.b64encode(b"k" * 64).decode()
TRANSFERS = 32
LABELS = {
    "ours": "itwin-export (checked, uploaded while others are fetched)",
    "ours_afterwards": "itwin-export, uploaded after the last tile",
    "ours_file": "itwin-export (checked, uploaded while it is downloaded)",
    "rclone": f"rclone copy to a folder, then rclone copy to the container, {TRANSFERS} transfers",
    "azcopy": "azcopy copy to a folder, then azcopy copy to the container",
}


class Containers(NamedTuple):
    """The addresses of the source container and the target container of a copy."""

    source: str
    target: str


def link_to(address: str) -> str:
    """A SAS URL with every permission, of a container or of a blob in it."""
    expiry = datetime.now(UTC) + timedelta(hours=6)
    permission, types = "rwdlac", "sco"
    return f"{address}?{generate_account_sas(ACCOUNT, KEY, resource_types=types, permission=permission, expiry=expiry)}"


def store_of(target: str) -> ObjectStore:
    """The destination in a container."""
    endpoint = target.rpartition("/")[0]
    access = StoreAccess(connection_string=f"AccountName={ACCOUNT};AccountKey={KEY};BlobEndpoint={endpoint}")
    return open_store(parse_address(f"az://{name_of(target)}/exports"), access)


def name_of(address: str) -> str:
    """The name of a container."""
    return address.rpartition("/")[2]


def ours(places: Containers, folder: Path, *, is_early: bool = True) -> None:
    """What the flow does with a tileset, from the listing to the manifest."""
    place = StoredTileset(store_of(places.target), "imodel/mesh", folder / "copies")
    with closing(place.new_upload()) as upload:
        link, early = fixed_link(SignedUrl(link_to(places.source))), upload if is_early else None
        fetched = asyncio.run(fetch_tileset(link, folder / "mesh", early=early))
        verify_tileset(fetched.folder, fetched.sizes)
        files = tuple(ManifestFile(one.name, "tile", one.size, one.sha256, md5=one.md5) for one in fetched.tiles)
        manifest = Manifest(
            api_url="https://api.example",
            imodel_id="imodel",
            changeset_id=None,
            format="mesh",
            tool_version="0",
            files=files,
            created_at=datetime.now(UTC),
        )
        dataclasses.replace(place, upload=upload).publish(folder / "mesh", manifest, keep=0, lock=folder)


def ours_file(places: Containers, folder: Path) -> None:
    """What the flow does with a file, from its link to the object."""
    store, target = store_of(places.target), folder / FILE

    async def fetch(uploads: FileUploads) -> None:
        async with AzureBlobRanges(fixed_link(SignedUrl(link_to(f"{places.source}/{FILE}")))) as ranges:
            await download(ranges, target, early=uploads)

    with closing(FileUploads(store, lambda name: f"exports/{name}")) as uploads:
        asyncio.run(fetch(uploads))
        assert uploads.commit(target), "the upload did not end"


def ours_afterwards(places: Containers, folder: Path) -> None:
    """The same, but nothing is uploaded before everything is here."""
    ours(places, folder, is_early=False)


def rclone(places: Containers, folder: Path) -> None:
    """Down and up with rclone."""
    pace = [f"--transfers={TRANSFERS}", "--checkers=32", "--fast-list", f"--ca-cert={os.environ['SSL_CERT_FILE']}"]
    common = [*pace, "--config=", "--stats=0", "--retries=1"]
    down = [f":azureblob:{name_of(places.source)}", folder / "local", f"--azureblob-sas-url={link_to(places.source)}"]
    up = [folder / "local", f":azureblob:{name_of(places.target)}", f"--azureblob-sas-url={link_to(places.target)}"]
    for way in (down, up):
        subprocess.run(["rclone", "copy", *way, *common], check=True)


def azcopy(places: Containers, folder: Path) -> None:
    """Down and up with azcopy."""
    tool = os.environ["AZCOPY"]
    settings = os.environ | {"AZCOPY_LOG_LOCATION": str(folder), "AZCOPY_JOB_PLAN_LOCATION": str(folder)}
    down = [link_to(places.source).replace("?", "/*?"), folder / "local", "--from-to=BlobLocal"]
    up = [folder / "local" / "*", link_to(places.target), "--from-to=LocalBlob"]
    (folder / "local").mkdir()
    for way in (down, up):
        command = [tool, "copy", *way, "--recursive", "--output-level=quiet"]
        subprocess.run(command, check=True, env=settings, stdout=subprocess.DEVNULL)


CONTENDERS = {one.__name__: one for one in (ours, ours_afterwards, ours_file, rclone, azcopy)}
KINDS = {"tiles": ("ours", "ours_afterwards", "rclone", "azcopy"), "file": ("ours_file", "rclone", "azcopy")}
"""The tools that are compared, by what they copy; ours stands first."""


@contextmanager
def azurite(folder: Path) -> Generator[str]:
    """Run an empty Azurite with TLS; yields the address of its account."""
    node = find_node()
    assert node, "Node is missing: make node"
    keys = ["--cert", str(folder / "cert.pem"), "--key", str(folder / "key.pem")]
    with azurite_process(node, f"{ACCOUNT}:{KEY}", [*keys, "--extentMemoryLimit", "16000"]) as url:
        yield f"{url}/{ACCOUNT}"


@contextmanager
def distant(address: str) -> Generator[str]:
    """Run a relay that adds MILLISECONDS to each round trip; yields the address to use in place of the given one."""
    port = str(urlsplit(address).port)
    command = [sys.executable, "-m", "tests.benchmarks.delay_relay", port, str(MILLISECONDS / 2)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as relay:
        assert relay.stdout
        try:
            yield address.replace(port, relay.stdout.readline().strip())
        finally:
            relay.terminate()


def fill(source: str, kind: str, count: int) -> int:
    """Put the tiles, or a file of so many gigabytes, into the source container; returns their bytes."""
    with ContainerClient.from_container_url(link_to(source), max_block_size=64 * 1024 * 1024) as container:
        container.create_container()
        return _fill_tiles(container, count) if kind == "tiles" else _fill_file(container, count)


def _fill_tiles(container: ContainerClient, count: int) -> int:
    dice = random.Random(7)
    names = [f"tiles/{number // 500}/{number}.glb" for number in range(count)]
    sizes = [dice.randint(*SIZES) for _ in names]
    leaf = {"geometricError": 0, "boundingVolume": {"sphere": [0, 0, 0, 1]}}
    root = {**leaf, "geometricError": 1, "children": [{**leaf, "content": {"uri": name}} for name in names]}
    document = json.dumps({"asset": {"version": "1.1"}, "geometricError": 1, "root": root}).encode()

    def put(name: str, size: int) -> int:
        content = make_glb(random.Random(size), size)
        container.upload_blob(name, content)
        return len(content)

    with ThreadPoolExecutor(8) as pool:
        total = sum(pool.map(put, names, sizes))
    container.upload_blob("tileset.json", document)
    return total


def _fill_file(container: ContainerClient, gigabytes: int) -> int:
    megabyte = random.Random(7).randbytes(1_000_000)
    container.upload_blob(FILE, (megabyte for _ in range(gigabytes * 1000)), length=gigabytes * GIGABYTE)
    return gigabytes * GIGABYTE


def measure(name: str, source: str, folder: Path) -> dict[str, Any]:
    """Run one tool once, in a process of its own, into an empty Azurite.

    An Azurite keeps deleted blobs in memory for minutes, so each run has its own.
    """
    with (
        azurite(folder) as account,
        distant(account) as far,
        ContainerClient.from_container_url(link_to(f"{account}/target")) as container,
        tempfile.TemporaryDirectory(dir=folder) as room,
    ):
        container.create_container()
        command = [sys.executable, "-m", "tests.benchmarks.into_a_store", name, source, f"{far}/target", room]
        run = subprocess.run(command, stdout=subprocess.PIPE, check=True)
        there = sum(blob.size for blob in container.list_blobs() if blob.name.endswith((".glb", FILE)))
    return json.loads(run.stdout) | {"bytes": there}


def compare(
    folder: Path, kind: str, names: Sequence[str], rounds: int, count: int
) -> tuple[int, dict[str, list[dict[str, Any]]]]:
    """Run the tools in turn, so many rounds; returns the bytes that are copied each time, and the runs by tool."""
    found: dict[str, list[dict[str, Any]]] = {name: [] for name in names}
    certify(folder)
    os.environ["SSL_CERT_FILE"] = os.environ["REQUESTS_CA_BUNDLE"] = str(folder / "cert.pem")
    with azurite(folder) as account, distant(account) as far:
        total = fill(f"{account}/source", kind, count)
        for number in range(rounds):
            for name in names:
                one = measure(name, f"{far}/source", folder)
                assert one["bytes"] == total, (name, one, total)
                found[name].append(one)
                sys.stderr.write(f"round {number + 1}: {name} {one['seconds']:.1f} s, {one['peak_mb']:.0f} MB\n")
    return total, found


def report(kind: str, count: int, total: int, found: dict[str, list[dict[str, Any]]]) -> str:
    """What was measured, in words and a table."""
    first, *_ = found
    typical = {name: statistics.median(run["seconds"] for run in runs) for name, runs in found.items()}
    rows = [
        f"| {LABELS[name]} | {typical[first] / typical[name]:.2f} | {typical[name]:.1f} "
        f"| {min(run['seconds'] for run in runs):.1f} | {peak_of(name, runs)} |"
        for name, runs in found.items()
    ]
    programs = [["rclone", "version"], *([[os.environ["AZCOPY"], "--version"]] if "azcopy" in found else [])]
    tiles = f"{count} tiles of {SIZES[0] // 1000}–{SIZES[1] // 1000} KB ({total / GIGABYTE:.2f} GB)"
    what = tiles if kind == "tiles" else f"one file of {count} GB"
    return f"""`python -m tests.benchmarks.into_a_store`: {what} from one Azurite into another, an empty one each
time (TLS, in memory, on loopback behind relays that add {MILLISECONDS} ms to a round trip), {len(found[first])} rounds
in turn, each in a process of its own. Azurite and the relays share the cores and are slower than a store: only ratios
mean something.

| tool | ours ÷ it, of the medians | seconds (median) | best | peak MB |
|---|---|---|---|---|
{chr(10).join(rows)}

{machine(["obstore", "azure-storage-blob"], programs)}
"""


def peak_of(name: str, runs: list[dict[str, Any]]) -> str:
    """The memory of ours; that of other programs is not measured."""
    return f"{max(run['peak_mb'] for run in runs):.0f}" if name.startswith("ours") else "–"


def main(kind: str, rounds: int, count: int) -> None:
    """Measure and write the section."""
    names = [name for name in KINDS[kind] if name != "azcopy" or "AZCOPY" in os.environ]
    with tempfile.TemporaryDirectory() as folder:
        total, found = compare(Path(folder), kind, names, rounds, count)
    text = report(kind, count, total, found)
    put_section("Tiles into an object store" if kind == "tiles" else "A big file into an object store", text)
    sys.stdout.write(text)


def run(name: str, places: Containers, folder: Path) -> None:
    """Run one tool and print its duration (seconds) and peak memory (MB) as JSON."""
    started = time.perf_counter()
    CONTENDERS[name](places, folder)
    seconds = time.perf_counter() - started
    sys.stdout.write(json.dumps({"seconds": seconds, "peak_mb": peak_megabytes()}) + "\n")


if __name__ == "__main__":
    match sys.argv[1:]:
        case [name, source, target, folder]:
            run(name, Containers(source, target), Path(folder))
        case [kind, rounds, count]:
            main(kind, int(rounds), int(count))
        case _:
            main("tiles", ROUNDS, TILES)
            main("file", ROUNDS, GIGABYTES)
