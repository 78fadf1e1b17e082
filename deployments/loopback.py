"""Requests to this machine go past the proxy of the environment, in this process and in those it starts."""

from collections.abc import MutableMapping

LOOPBACK = ("localhost", "127.0.0.1", "::1")
PROXIES = frozenset({"http_proxy", "https_proxy", "all_proxy"})


def reach_loopback_directly(environment: MutableMapping[str, str]) -> None:
    """Add loopback to NO_PROXY where a proxy is set; to be called before Prefect is imported.

    Both spellings are written: libraries differ in which one they read first.
    """
    if not any(value for name, value in environment.items() if name.lower() in PROXIES):
        return
    named = environment.get("no_proxy") or environment.get("NO_PROXY") or ""
    hosts = [host.strip() for host in named.split(",") if host.strip()]
    if "*" not in hosts:
        value = ",".join([*hosts, *(host for host in LOOPBACK if host not in hosts)])
        environment["NO_PROXY"] = environment["no_proxy"] = value
