"""A proxy in a process of its own: it connects every host to one port of loopback, and logs the requested hosts.

`python connect_proxy.py TARGET_PORT STATUS` prints its port first, then a line for each CONNECT: the host and the
password. With another STATUS than 200 it refuses with it.
"""

import asyncio
import base64
import sys


async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    """Copy bytes until the end of the stream."""
    try:
        while piece := await reader.read(65536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        pass
    finally:
        writer.close()


async def serve(target: int, status: int) -> None:
    """Listen until the process is ended."""

    async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        method, host, _ = head[0].split(" ")
        basic = next((line.split()[-1] for line in head if line.lower().startswith("proxy-authorization: ")), "")
        sys.stdout.write(f"{method} {host} {base64.b64decode(basic).decode()}\n")
        sys.stdout.flush()
        if status != 200:
            writer.write(f"HTTP/1.1 {status} No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n".encode())
            await writer.drain()
            writer.close()
            return
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, far_writer), pump(far_reader, writer))

    server = await asyncio.start_server(accept, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), int(sys.argv[2])))
