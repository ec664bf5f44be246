"""The process around the service: its socket, its signals, and its end."""

from __future__ import annotations

import asyncio
import signal
import socket
from collections.abc import Callable

import uvicorn

from ..errors import InputError
from .service import Service

_GRACE = 10  # seconds for clients to take their last responses, when all are computed


def bind(host: str, port: int) -> socket.socket:
    """A socket that is bound but does not listen yet, so that nobody connects before the model is loaded.

    host: a name or an address; port: 0 for a free one.

    Raises:
        InputError: there is no such host; the port is taken, or not allowed.
    """
    try:
        [(family, kind, protocol, _, address), *_] = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    except socket.gaierror as error:
        raise InputError(f"host {host!r:.80} is no address of this machine: {error.strerror}") from None
    bound = socket.socket(family, kind, protocol)  # asyncio sends small parts at once for the protocol TCP alone
    try:
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        bound.bind(address)
    except OSError as error:
        bound.close()
        raise InputError(f"{host}:{port} cannot be listened on: {error.strerror}; give another --port") from error
    return bound


def url_of(bound: socket.socket) -> str:
    """The address of a socket as people write it."""
    host, port, *_ = bound.getsockname()
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """uvicorn's server, which answers all that it took before it stops; a second SIGINT ends it after a batch.

    service: what it serves. ready: called when it accepts requests.
    """

    def __init__(self, service: Service, ready: Callable[[], None]) -> None:
        # uvicorn's access log would have the queries of strangers; errors of the service are logged by itself.
        config = uvicorn.Config(
            service.application(),
            log_config=None,
            access_log=False,
            loop="asyncio",
            http="h11",
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=_GRACE,
        )
        super().__init__(config)
        self._service, self._ready = service, ready

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept requests, and report it."""
        await super().startup(sockets)
        self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """Accept no more, answer what was taken, and end."""
        self._service.stopping = True
        for server in self.servers:
            server.close()
        while self._service.taken and not self.force_exit:
            await asyncio.sleep(0.05)
        if self.force_exit:
            self._service.give_up()
        await super().shutdown(sockets)
        for connection in list(self.server_state.connections):  # of clients that did not take their responses
            connection.transport.abort()
        if self.server_state.tasks:
            await asyncio.wait(self.server_state.tasks, timeout=1)
        if self.force_exit:  # uvicorn leaves it out then
            await self.lifespan.shutdown()


def serve(service: Service, bound: socket.socket, ready: Callable[[], None]) -> None:
    """Serve until SIGTERM or SIGINT, and finish what was taken; returns for SIGTERM.

    ready: called when requests are accepted.

    Raises:
        KeyboardInterrupt: it was SIGINT.
        OSError: the socket cannot listen.
    """
    signal.signal(signal.SIGTERM, lambda *_: None)  # uvicorn raises it again after the end
    Server(service, ready).run(sockets=[bound])
