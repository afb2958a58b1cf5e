"""How a container reaches servers of this machine that listen on loopback only.

Docker Desktop brings what a container sends to `host.docker.internal` to the machine's loopback
(https://docs.docker.com/desktop/features/networking/networking-how-tos/, "connect from a container to a
service on the host"). On plain Linux that name, given as `host-gateway`, is the address of Docker's bridge
(https://docs.docker.com/reference/cli/docker/container/run/#add-host), where only somebody on this
machine, or a container of it, gets to: a relay listens there as well. Nothing listens on any other
address, unless the operator names it.
"""

from __future__ import annotations

import asyncio
import contextlib
import ipaddress
import threading
from collections.abc import Awaitable, Callable, Iterator, Sequence
from contextlib import contextmanager

import docker  # type: ignore[import-untyped] # it has no types
import requests
from docker.errors import DockerException  # type: ignore[import-untyped]

HOST = "host.docker.internal"
"""The machine's name in a container."""


def bridge_address() -> str | None:
    """The address of Docker's default bridge, by the engine's word; `None` where no engine answers."""
    try:
        with contextlib.closing(docker.from_env(timeout=3)) as engine:
            attributes = engine.networks.get("bridge").attrs
        (network, *_) = attributes["IPAM"]["Config"]
    except (DockerException, requests.RequestException, OSError, ValueError):
        return None
    # A bridge that has had no container yet tells its subnet only: its own address is the first one.
    own = network.get("Gateway") or next(ipaddress.ip_network(network["Subnet"]).hosts())
    return str(own)


@contextmanager
def relayed(address: str, ports: Sequence[int]) -> Iterator[bool]:
    """Pass on what arrives at these ports of the address to the same ports of loopback.

    Yields:
        Whether it listens there: Docker Desktop's bridge is not on this machine, and needs no relay.
    """
    loop = asyncio.new_event_loop()
    try:
        servers = loop.run_until_complete(_listen(address, ports))
    except OSError:
        loop.close()
        yield False
        return
    thread = threading.Thread(target=loop.run_forever, daemon=True)
    thread.start()
    try:
        yield True
    finally:
        loop.call_soon_threadsafe(loop.stop)
        thread.join(10)
        for server in servers:
            server.close()
        for task in asyncio.all_tasks(loop):
            task.cancel()
        loop.run_until_complete(asyncio.sleep(0))
        loop.close()


async def _listen(address: str, ports: Sequence[int]) -> list[asyncio.Server]:
    begun = [asyncio.start_server(_passing_on_to(port), address, port) for port in ports]
    made = await asyncio.gather(*begun, return_exceptions=True)
    servers = [one for one in made if isinstance(one, asyncio.Server)]
    for failure in made:
        if isinstance(failure, BaseException):
            for server in servers:
                server.close()
            raise failure
    return servers


def _passing_on_to(port: int) -> Callable[..., Awaitable[None]]:
    async def pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            there, onward = await asyncio.open_connection("127.0.0.1", port)
        except OSError:
            writer.close()
            return
        await asyncio.gather(_copy(reader, onward), _copy(there, writer))

    return pass_on


async def _copy(source: asyncio.StreamReader, sink: asyncio.StreamWriter) -> None:
    try:
        while piece := await source.read(65536):
            sink.write(piece)
            await sink.drain()
    except OSError:
        pass
    finally:
        sink.close()
