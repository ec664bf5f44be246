"""What the service refuses, in the two shapes that clients of its wire formats understand."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

# The error_type of text-embeddings-inference and the type of OpenAI, by status.
_TYPES = {
    401: ("Unauthorized", "authentication_error"),
    429: ("Overloaded", "rate_limit_error"),
    500: ("Backend", "server_error"),
    503: ("Unhealthy", "server_error"),
}
_OTHER = ("Validation", "invalid_request_error")


class Refusal(Exception):  # noqa: N818 - the word for all that gets no answer
    """A request that gets an error in place of an answer.

    status: of HTTP. message: for the caller. headers: further ones of the response.
    """

    def __init__(self, status: int, message: str, headers: Mapping[str, str] | None = None) -> None:
        super().__init__(message)
        self.status = status
        self.headers = dict(headers or {})

    def content(self, path: str) -> dict[str, Any]:
        """The body: OpenAI's object under its paths, else that of text-embeddings-inference."""
        kind, openai_kind = _TYPES.get(self.status, _OTHER)
        if not path.startswith("/v1/"):
            return {"error": str(self), "error_type": kind}
        return {"error": {"message": str(self), "type": openai_kind, "param": None, "code": None}}
