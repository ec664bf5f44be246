"""`lf-ref serve`."""

from __future__ import annotations

import os
from functools import partial
from typing import TYPE_CHECKING, Any

import click

from ..command_line import COUNT, Number, command, input_option, performance_option
from ..errors import InputError
from .options import checkpoint_options, engine_options, load, quietly, tokenizer_option
from .warmup import compile_kernels

if TYPE_CHECKING:
    from ..serve.work import Task

_TASKS = [
    "embed",
    "text-classification",
    "fill-mask",
    "zero-shot-classification",
    "token-classification",
    "question-answering",
    "multiple-choice",
]
_LOOPBACK = ("127.", "localhost", "::1")


@command("serve", short_help="Answer over HTTP, for clients of TEI and OpenAI.")
@click.option("--task", type=click.Choice(_TASKS), default="embed", show_default=True, help="What to do with texts.")
@input_option("--host", default="127.0.0.1", show_default=True, help="Address to listen on; 0.0.0.0 for all.")
@input_option(
    "--port", type=Number(0, 65535), default=8080, show_default=True, help="Port to listen on; 0 for a free one."
)
@input_option(
    "--api-key",
    envvar="LF_REF_API_KEY",
    help="Key that requests must send, as Authorization: Bearer KEY (default: $LF_REF_API_KEY, unseen by ps).",
)
@input_option(
    "--max-body-bytes", type=COUNT, default=4_000_000, show_default=True, help="Longest body of a request; 413 past it."
)
@input_option("--max-texts", type=COUNT, default=2048, show_default=True, help="Most texts of a request; 413 past it.")
@input_option(
    "--max-text-chars", type=COUNT, default=400_000, show_default=True, help="Characters of a text; 413 past it."
)
@performance_option(
    "--max-batch-tokens", type=COUNT, default=4096, show_default=True, help="Most tokens of a batch, padding included."
)
@performance_option(
    "--max-batch-delay",
    type=Number(min=0),
    default=2,
    show_default=True,
    help="Milliseconds that a text waits for others to share its batch.",
)
@performance_option(
    "--max-queue", type=COUNT, default=8192, show_default=True, help="Most texts that wait for the model; 429 past it."
)
@checkpoint_options
@tokenizer_option
@engine_options
def serve(
    task: str,
    host: str,
    port: int,
    api_key: str | None,
    max_body_bytes: int,
    max_texts: int,
    max_text_chars: int,
    max_batch_tokens: int,
    max_batch_delay: int,
    max_queue: int,
    **source: Any,
) -> None:
    """Serve a model over HTTP until it is stopped.

    Clients of text-embeddings-inference (TEI) and of OpenAI's embeddings talk to it: POST /embed, /similarity and
    /v1/embeddings for the task embed, /predict for text-classification, and / for every task, which is what
    huggingface_hub.InferenceClient calls; GET /info, /health and /metrics. SIGTERM and Ctrl-C stop it when all requests
    that it took are answered. The guide on the service has the formats.

    \b
    Example:
      lf-ref serve --port 8080
    """
    given = os.environ.get("LF_REF_API_KEY") if api_key is None else api_key  # click takes an empty one for none
    key = None if given is None else given.strip()  # secrets in files end in a line feed
    if key == "":
        raise InputError("the key of --api-key or LF_REF_API_KEY is empty: give a key, or leave it out")
    _check_installed()
    from ..serve import server
    from ..serve.batching import Batcher
    from ..serve.metrics import Metrics
    from ..serve.service import Service
    from ..serve.work import Limits

    quiet, name = source["quiet"], source["model"] or "demo"
    with server.bind(host, port) as bound:  # a port that is taken is reported before the model is loaded
        url = server.url_of(bound)
        done = _task(task, name, {**source, "batch_tokens": max_batch_tokens})
        if source["backend"] == "numba":
            compile_kernels(done.pipe.model.config.hidden_act, done.pipe.model.weight_dtype)
        batcher = Batcher(max_batch_tokens, max_batch_delay / 1000, max_queue, Metrics())
        service = Service(done, name, batcher, Limits(max_body_bytes, max_texts, max_text_chars), key)
        if key is None and not host.startswith(_LOOPBACK):
            click.echo(f"Warning: whoever reaches {url} may use it: set --api-key", err=True)
        server.serve(service, bound, partial(_report, f"serving {task} by {name} on {url}", quiet))
        _report("stopped", quiet)


def _check_installed() -> None:
    try:
        from ..serve import server  # noqa: F401 - it imports all that the extra has
    except ModuleNotFoundError as error:
        name = str(error.name).partition(".")[0]
        raise InputError(f"lf-ref serve needs {name}: pip install 'lf-ref[serve]'") from None


def _report(message: str, quiet: bool) -> None:
    if not quiet:
        click.echo(message, err=True)


def _task(task: str, name: str, source: dict[str, Any]) -> Task:
    from ..embeddings.encoder import SentenceEncoder
    from ..serve.embedding import Embedding
    from ..serve.prediction import Prediction

    if task != Embedding.name:
        return Prediction(load(task, source))
    with quietly(source["quiet"]):
        return Embedding(SentenceEncoder.from_pretrained(source.pop("model"), **source), name)
