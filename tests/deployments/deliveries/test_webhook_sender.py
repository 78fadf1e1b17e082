"""To which addresses deliveries are sent."""

import socket
from collections.abc import Generator
from ipaddress import ip_network
from typing import Any

import pytest
from pydantic import SecretStr

from blocks.prefect_server.outgoing_webhook import OutgoingWebhook
from deployments.deliveries import webhook_sender
from deployments.deliveries.delivery_queue import Delivery
from deployments.deliveries.webhook_sender import is_refused, send
from tests.deployments.automations.receiver import Receiver

SECRET = SecretStr("s" * 40)
PLANT = "itwin.imodel.plant"


@pytest.fixture
def receiver() -> Generator[Receiver]:
    """Where webhooks arrive."""
    with Receiver() as running:
        yield running


@pytest.mark.parametrize(
    ("address", "is_so"),
    [
        ("169.254.169.254", True),
        ("::ffff:169.254.169.254", True),
        ("fe80::1%eth0", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200", True),
        ("0.0.0.0", True),  # noqa: S104  an address to refuse
        ("127.0.0.1", False),
        ("10.0.0.7", False),
        ("203.0.113.9", False),
        ("2001:db8::1", False),
    ],
)
async def test_refused_addresses(address: str, is_so: bool) -> None:
    """Link-local addresses and metadata services are refused, also inside IPv6; the own network is not."""
    assert is_refused(address) is is_so


@pytest.mark.parametrize("host", ["169.254.169.254", "[::ffff:a9fe:a9fe]", "metadata.example"])
async def test_nothing_is_sent_to_a_refused_address(monkeypatch: pytest.MonkeyPatch, host: str) -> None:
    """Neither a literal address nor a name that leads there is connected to."""
    looked_up = socket.getaddrinfo

    def resolve(name: str, *args: Any, **more: Any) -> Any:
        return looked_up("169.254.169.254" if name == "metadata.example" else name, *args, **more)

    monkeypatch.setattr(socket, "getaddrinfo", resolve)
    refused = OutgoingWebhook(url=SecretStr(f"http://{host}/latest/meta-data"), secret=SECRET)
    assert "nothing is sent there" in await send(Delivery("id", "hook", PLANT, b"{}"), refused)


async def test_a_block_can_allow_a_refused_address(monkeypatch: pytest.MonkeyPatch, receiver: Receiver) -> None:
    """With allow_refused_addresses the delivery goes where it would be refused otherwise, by address and by name."""
    monkeypatch.setattr(webhook_sender, "REFUSED", (ip_network("127.0.0.0/8"), ip_network("::1/128")))
    for url in (receiver.url, receiver.url.replace("127.0.0.1", "localhost")):
        refused = OutgoingWebhook(url=SecretStr(url), secret=SECRET)
        assert "nothing is sent there" in await send(Delivery("id", "hook", PLANT, b"{}"), refused)
        allowed = refused.model_copy(update={"allow_refused_addresses": True})
        assert not await send(Delivery("id", "hook", PLANT, b"{}"), allowed)
    assert len(receiver.taken) == 2
