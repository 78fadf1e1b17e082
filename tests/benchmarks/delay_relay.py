"""A relay on loopback that delivers each piece a moment later, as a distant host would: `… PORT MILLISECONDS`."""

import asyncio
import contextlib
import sys

_PIECE = 256 * 1024
_WAITING = 64
"""Maximum number of queued pieces per direction of a connection."""


async def _pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, delay: float) -> None:
    pieces: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue(_WAITING)

    async def take() -> None:
        with contextlib.suppress(ConnectionError):
            while piece := await reader.read(_PIECE):
                await pieces.put((asyncio.get_running_loop().time() + delay, piece))
        await pieces.put((0.0, b""))

    taking = asyncio.create_task(take())
    with contextlib.suppress(OSError):
        while (due := await pieces.get())[1]:
            await asyncio.sleep(due[0] - asyncio.get_running_loop().time())
            writer.write(due[1])
            await writer.drain()
    taking.cancel()
    with contextlib.suppress(OSError):
        writer.close()


async def serve(target: int, delay: float) -> None:
    """Serve until killed; the first line is the port."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        far_reader, far_writer = await asyncio.open_connection("127.0.0.1", target)
        with contextlib.suppress(OSError):
            await asyncio.gather(_pump(reader, far_writer, delay), _pump(far_reader, writer, delay))

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    sys.stdout.write(f"{server.sockets[0].getsockname()[1]}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve(int(sys.argv[1]), float(sys.argv[2]) / 1000))
