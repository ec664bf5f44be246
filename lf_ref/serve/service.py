"""The service as an ASGI application: routes, limits, the API key, and what becomes of errors."""

from __future__ import annotations

import asyncio
import hmac
import logging
import time
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from functools import partial
from typing import Any, TypeVar

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.routing import Route

from ..errors import InputError, LfRefError
from ..pipelines.rows import Prepared
from ..records import strict_json
from ..version import __version__
from .batching import Batcher, QueueFullError, tokens_of
from .refusals import Refusal
from .work import Limits, Reader, Task, Work

_BODY_SECONDS = 60  # for the client to send the body of a request
_AUTHENTICATE = {"WWW-Authenticate": "Bearer"}
_CLIENT_LEFT = 499  # as in nginx; nobody gets it
_logger = logging.getLogger(__name__)

Answer = Callable[[Request], Awaitable[Response]]
Result = TypeVar("Result")


class Service:
    """A task behind HTTP.

    The event loop only moves bytes: JSON and tokens are made in one thread, results in another, by the `Batcher`. Texts
    are never in the log.

    task: what it does. model_name: the name of the model in responses. batcher: runs the texts. limits: of a request.
    api_key: what callers must have, or None.
    """

    def __init__(
        self, task: Task, model_name: str, batcher: Batcher, limits: Limits, api_key: str | None = None
    ) -> None:
        self.task, self.model_name, self.batcher, self.limits = task, model_name, batcher, limits
        self.metrics = batcher.metrics
        self.stopping = False
        self.taken = 0  # requests that are being answered
        self._gone: set[asyncio.Task[None]] = set()  # of each, the wait for its client to leave
        self._preparing = 0  # of these, requests whose texts are not counted yet
        self._key = None if api_key is None else api_key.encode()
        self._running: asyncio.Task[None] | None = None
        self._texts = ThreadPoolExecutor(1, "lf_ref-texts")

    def application(self) -> Starlette:
        """The ASGI application."""
        post = [
            Route(path, self._answering(partial(self._post, read)), methods=["POST"])
            for path, read in self.task.readers.items()
        ]
        get = [
            Route("/info", self._answering(self._info)),
            Route("/health", self._answering(self._health, is_open=True)),
            Route("/metrics", self._answering(self._metrics, is_open=True)),
        ]
        return Starlette(
            routes=[*post, *get], lifespan=self._lifespan, exception_handlers={HTTPException: self._no_route}
        )

    @asynccontextmanager
    async def _lifespan(self, app: Starlette) -> AsyncIterator[None]:
        self._running = asyncio.create_task(self.batcher.run())
        yield
        self._running.cancel()
        await asyncio.wait([self._running])
        self._texts.shutdown()

    # --- routes -----------------------------------------------------------------------------------------------------

    async def _health(self, request: Request) -> Response:
        self._check_running()
        return Response()

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), media_type="text/plain; version=0.0.4")

    async def _info(self, request: Request) -> Response:
        return _json(
            {
                "model_id": self.model_name,
                "model_sha": None,
                "model_dtype": self.task.pipe.model.weight_dtype,
                **self.task.info(),
                "max_concurrent_requests": self.batcher.max_queue,
                "max_batch_tokens": self.batcher.max_batch_tokens,
                "max_batch_requests": None,
                "max_client_batch_size": self.limits.texts,
                "tokenization_workers": 1,
                "version": __version__,
            }
        )

    async def _post(self, read: Reader, request: Request) -> Response:
        body = await self._body(request)
        start = time.perf_counter()
        self._check_running()
        self.taken += 1
        try:
            response = await self._unless_gone(request, self._results(read, body))
        finally:
            self.taken -= 1
        self.metrics.duration.observe(time.perf_counter() - start)
        return response

    async def _unless_gone(self, request: Request, work: Coroutine[Any, Any, Result]) -> Result:
        """The result of the work, which is cancelled when the client disconnects, or all work is given up.

        Raises:
            ClientDisconnect, Refusal: that happened.
        """
        working, gone = asyncio.ensure_future(work), asyncio.ensure_future(_disconnected(request))
        self._gone.add(gone)
        try:
            await asyncio.wait([working, gone], return_when=asyncio.FIRST_COMPLETED)
            if not working.done():
                raise Refusal(503, "the service was stopped") if gone.cancelled() else ClientDisconnect
            return working.result()
        finally:
            self._gone.discard(gone)
            for task in (working, gone):
                task.cancel()

    def give_up(self) -> None:
        """Refuse all requests that are being answered."""
        for gone in self._gone:
            gone.cancel()

    def _check_running(self) -> None:
        if self.stopping or self._running is None or self._running.done():
            raise Refusal(503, "the service is stopping", {"Retry-After": "5"})

    async def _results(self, read: Reader, body: bytes) -> Response:
        start = time.perf_counter()
        self.batcher.check_room(self._preparing, 1)  # before any work on it
        self._preparing += 1
        try:
            work, texts = await self._in_thread(self._prepare, read, body)
        finally:
            self._preparing -= 1
        method = "batch" if isinstance(work.inputs, list) else "single"
        self.metrics.requests.labels(method).inc()
        self.metrics.preparation.observe(time.perf_counter() - start)
        for text in texts:
            self.metrics.length.observe(tokens_of(text))
        results = await self.batcher.answer(work.call, texts)
        response = await self._in_thread(_respond, work, results, sum(map(tokens_of, texts)))
        self.metrics.successes.labels(method).inc()
        return response

    async def _body(self, request: Request) -> bytes:
        """The body of a request.

        Raises:
            Refusal: it is too long, takes too long to arrive, or is said to be something else than JSON.
        """
        kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if kind != "application/json":
            raise Refusal(415, "the request must have the header Content-Type: application/json")
        most = self.limits.body_bytes
        too_long = Refusal(
            413, f"the request has more than the {most} bytes that --max-body-bytes allows: send fewer texts"
        )
        length = request.headers.get("content-length", "")
        if length.isdecimal() and int(length) > most:
            raise too_long

        async def read() -> bytes:
            body = bytearray()
            async for chunk in request.stream():
                body += chunk
                if len(body) > most:
                    raise too_long
            return bytes(body)

        try:
            return await asyncio.wait_for(read(), _BODY_SECONDS)
        except asyncio.TimeoutError:  # the builtin one only from Python 3.11 on
            raise Refusal(408, f"the body did not arrive within {_BODY_SECONDS} s", {"Connection": "close"}) from None

    def _prepare(self, read: Reader, body: bytes) -> tuple[Work, list[Prepared]]:
        """What a body asks for, and its tokens.

        Raises:
            Refusal: it is not JSON, or beyond a limit.
            InputError: there is something wrong with a field or a text.
        """
        try:
            given = strict_json.loads(body.decode())
        except ValueError as error:
            raise Refusal(400, f"the body is not JSON: {type(error).__name__}") from None
        if not isinstance(given, dict):
            raise Refusal(400, f"the body must be a JSON object, got {type(given).__name__}")
        work = read(given)
        self.limits.check(work.inputs, given.get("parameters"))
        texts = work.call.prepare(work.inputs)
        for text in texts:
            self.limits.check_rows(len(text.rows))
        return work, texts

    def _in_thread(self, function: Callable[..., Result], *arguments: Any) -> Awaitable[Result]:
        return asyncio.get_running_loop().run_in_executor(self._texts, function, *arguments)

    # --- errors -----------------------------------------------------------------------------------------------------

    def _answering(self, answer: Answer, is_open: bool = False) -> Answer:
        """An endpoint that answers errors in the words of its wire format; is_open: it asks for no key."""

        async def endpoint(request: Request) -> Response:
            try:
                if not is_open:
                    self._check_key(request)
                return await answer(request)
            except Exception as error:
                return self._refuse(request, _refusal(error))

        return endpoint

    def _check_key(self, request: Request) -> None:
        if self._key is None:
            return
        kind, _, key = dict(request.scope["headers"]).get(b"authorization", b"").partition(b" ")
        if kind.lower() != b"bearer" or not hmac.compare_digest(key.strip(), self._key):
            raise Refusal(
                401, "the API key is missing or wrong: send the header Authorization: Bearer KEY", _AUTHENTICATE
            )

    def _refuse(self, request: Request, refusal: Refusal) -> Response:
        self.metrics.failures.labels(str(refusal.status)).inc()
        return _json(refusal.content(request.scope["path"]), refusal.status, refusal.headers)

    async def _no_route(self, request: Request, error: Exception) -> Response:
        assert isinstance(error, HTTPException)
        paths = ", ".join(self.task.readers)
        asked = f"{request.method} {request.scope['path']:.80}"
        message = f"no {asked} with --task {self.task.name}: there are POST {paths}, GET /info, /health and /metrics"
        return self._refuse(request, Refusal(error.status_code, message, error.headers))


async def _disconnected(request: Request) -> None:
    while (await request.receive())["type"] != "http.disconnect":
        pass


def _refusal(error: Exception) -> Refusal:
    """The refusal that an exception leads to; one that nobody expected is logged, without its message."""
    if isinstance(error, Refusal):
        return error
    if isinstance(error, InputError):
        return Refusal(422, str(error))
    if isinstance(error, QueueFullError):
        return Refusal(429, str(error), {"Retry-After": str(error.seconds)})
    if isinstance(error, RecursionError):
        return Refusal(400, "the body is nested too deeply")
    if isinstance(error, ClientDisconnect):
        return Refusal(_CLIENT_LEFT, "the client left")
    if isinstance(error, LfRefError):
        return Refusal(500, str(error))
    frames = "".join(traceback.format_tb(error.__traceback__))
    _logger.error("a request failed with %s\n%s", type(error).__name__, frames)
    return Refusal(500, f"the service failed with {type(error).__name__}; its log has the traceback")


def _respond(work: Work, results: list[Any], tokens: int) -> Response:
    return _json(work.respond(results, tokens))


def _json(content: Any, status: int = 200, headers: dict[str, str] | None = None) -> Response:
    # In ASCII, since a message may quote a lone surrogate, which no encoding has.
    return Response(strict_json.dumps(content, ascii_only=True), status, headers, media_type="application/json")
