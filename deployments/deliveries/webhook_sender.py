"""Sends one delivery to a webhook: signed, bounded in time, without redirects, not to addresses that are refused."""

import hmac
import socket
from importlib.metadata import version
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network
from typing import Any

import aiohttp
from aiohttp.abc import AbstractResolver, ResolveResult
from aiohttp.resolver import ThreadedResolver
from yarl import URL

from blocks.errors import ConfigurationError, without_secrets
from blocks.network import proxy_for, tls_context
from blocks.prefect_server.outgoing_webhook import OutgoingWebhook
from deployments.deliveries.delivery_queue import Delivery

SECONDS = 15.0
"""For the whole exchange, from the look-up of the name to the head of the answer."""
LONGEST_HEAD = 8190
REFUSED = tuple(
    ip_network(network)
    for network in (
        "0.0.0.0/8",  # this machine, by another name
        "169.254.0.0/16",  # link-local, with the metadata services of most clouds
        "100.100.100.200/32",  # metadata service of Alibaba Cloud
        "168.63.129.16/32",  # platform service of Azure
        "192.0.0.192/32",  # metadata service of Oracle Cloud
        "224.0.0.0/4",
        "240.0.0.0/4",
        "::/128",
        "fe80::/10",
        "fd00:ec2::254/128",  # metadata service of AWS
        "ff00::/8",
    )
)


class RefusedAddressError(OSError):
    """The webhook leads to an address that nothing is sent to."""


async def send(delivery: Delivery, webhook: OutgoingWebhook) -> str:
    """Send a delivery; returns why the webhook has not taken it, else nothing. The body of the answer is not read."""
    url = webhook.url.get_secret_value()
    try:
        _require_address(url, webhook)
        async with (
            _session(webhook) as session,
            session.post(
                URL(url),
                data=delivery.body,
                headers=headers_of(delivery, webhook),
                allow_redirects=False,
                proxy=proxy_for(url),
            ) as response,
        ):
            status = response.status
    except TimeoutError:
        return f"no answer within {SECONDS:g} seconds"
    except RefusedAddressError as error:
        return str(error)
    except (aiohttp.ClientError, OSError, ValueError, ConfigurationError) as error:
        return _reason(error)
    if 200 <= status < 300:
        return ""
    return f"it answered {status}{', and redirects are not followed' if 300 <= status < 400 else ''}"


def headers_of(delivery: Delivery, webhook: OutgoingWebhook) -> dict[str, str]:
    """The signature of the raw body, as the iTwin Platform signs its own webhooks, and the id of the delivery.

    https://developer.bentley.com/apis/webhooks-v2/overview/
    """
    digest = hmac.new(webhook.secret.get_secret_value().encode(), delivery.body, "sha256").hexdigest()
    return {
        "Content-Type": "application/json",
        "Delivery-Id": delivery.id,
        "Signature": f"sha256={digest}",
        "User-Agent": f"itwin-export/{version('itwin-export')}",
    }


def is_refused(address: str) -> bool:
    """Whether an IP address is link-local, a metadata service of a cloud, or none of a host."""
    found = ip_address(address.partition("%")[0])
    return any(_is_in(one, network) for one in _forms(found) for network in REFUSED)


class CheckedResolver(AbstractResolver):
    """Resolves host names, refuses forbidden addresses, and connects to the very address that it has checked."""

    def __init__(self, *, is_all_allowed: bool) -> None:
        self._resolver = ThreadedResolver()
        self._is_all_allowed = is_all_allowed

    async def resolve(
        self, host: str, port: int = 0, family: socket.AddressFamily = socket.AF_UNSPEC
    ) -> list[ResolveResult]:
        """The addresses of a name.

        Raises:
            RefusedAddressError: It leads to one that is refused.
        """
        found = await self._resolver.resolve(host, port, family)
        for one in found:
            if not self._is_all_allowed and is_refused(one["host"]):
                raise _refused(host)
        return found

    async def close(self) -> None:
        """Nothing is held open."""
        await self._resolver.close()


def _session(webhook: OutgoingWebhook) -> aiohttp.ClientSession:
    resolver = CheckedResolver(is_all_allowed=webhook.allow_refused_addresses)
    return aiohttp.ClientSession(
        connector=aiohttp.TCPConnector(resolver=resolver, ssl=tls_context(), force_close=True),
        cookie_jar=aiohttp.DummyCookieJar(),
        timeout=aiohttp.ClientTimeout(total=SECONDS),
        auto_decompress=False,
        max_line_size=LONGEST_HEAD,
        max_field_size=LONGEST_HEAD,
    )


def _require_address(url: str, webhook: OutgoingWebhook) -> None:
    """Refuse an address that stands in the URL itself, for which no name is looked up."""
    host = URL(url).host or ""
    try:
        is_forbidden = is_refused(host)
    except ValueError:  # a name
        return
    if is_forbidden and not webhook.allow_refused_addresses:
        raise _refused(host)


def _refused(host: str) -> RefusedAddressError:
    return RefusedAddressError(
        f"{host} is a link-local address, a metadata service or no address of a host; nothing is sent there unless the "
        f"block allows it"
    )


def _reason(error: Exception) -> str:
    """The kind of error and what it says, without the address, which may hold a password."""
    cause: Any = error
    while cause is not None:
        if isinstance(cause, RefusedAddressError):
            return str(cause)
        cause = cause.__cause__ or cause.__context__
    return f"it cannot be reached ({without_secrets(getattr(error, 'strerror', None) or type(error).__name__)})"


def _forms(address: IPv4Address | IPv6Address) -> list[IPv4Address | IPv6Address]:
    """The address, and the IPv4 address that it contains."""
    inner = getattr(address, "ipv4_mapped", None) or getattr(address, "sixtofour", None)
    return [address, inner] if inner else [address]


def _is_in(address: IPv4Address | IPv6Address, network: IPv4Network | IPv6Network) -> bool:
    return address.version == network.version and address in network
