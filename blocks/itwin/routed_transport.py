"""An httpx transport that takes proxy and certificates from `blocks.network`."""

import httpx

from blocks.network import proxy_for, tls_context


class RoutedTransport(httpx.AsyncBaseTransport):
    """Sends each request directly or through the proxy of its URL, with one connection pool per proxy.

    Args:
        limits: Connection limits of each pool.

    Raises:
        ConfigurationError: The trusted certificates cannot be read.
    """

    def __init__(self, limits: httpx.Limits) -> None:
        self._limits = limits
        self._tls = tls_context()
        self._pools: dict[str | None, httpx.AsyncHTTPTransport] = {}

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send one request, for httpx.

        Raises:
            ConfigurationError: The environment names a proxy that cannot be used.
        """
        return await self._pool(proxy_for(str(request.url))).handle_async_request(request)

    async def aclose(self) -> None:
        """Close all connections."""
        for pool in self._pools.values():
            await pool.aclose()

    def _pool(self, proxy: str | None) -> httpx.AsyncHTTPTransport:
        if proxy not in self._pools:
            proxy_config = (
                httpx.Proxy(proxy, ssl_context=self._tls if proxy.startswith("https:") else None) if proxy else None
            )
            self._pools[proxy] = httpx.AsyncHTTPTransport(
                verify=self._tls, trust_env=False, limits=self._limits, proxy=proxy_config
            )
        return self._pools[proxy]
