"""A small server on loopback that answers as the Hugging Face Hub does, for the real client to talk to.

It knows repositories with commits and refs, the listing, file metadata by HEAD (commit, etag, size), the redirect of
large files to another place, byte ranges, the error codes of the Hub, and it can break off, lie and count.
"""

from __future__ import annotations

import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import unquote

LARGE = (".safetensors", ".bin")  # what the Hub keeps elsewhere and redirects to


@dataclass
class Repository:
    """refs: branch or pull request to commit; commits: commit to the content of each file."""

    refs: dict[str, str]
    commits: dict[str, dict[str, bytes]]
    gated: bool = False


@dataclass
class Hub:
    """What the server serves, and what it was asked: (method, path, headers)."""

    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    break_after: dict[str, list[int]] = field(
        default_factory=dict
    )  # file -> bytes that the next answers break off after
    lie_about_size: dict[str, int] = field(default_factory=dict)  # file -> size that its metadata claims
    forbidden: set[str] = field(default_factory=set)  # files that are answered with 403
    move_after: dict[str, tuple[str, str]] = field(
        default_factory=dict
    )  # file -> (repository, commit) that main moves to
    endpoint: str = ""
    elsewhere: str = ""  # the same server by another name: as with the real one, large files are on another host

    def files_asked_for(self) -> list[str]:
        """The names of all files asked for, each once, in order."""
        return list(dict.fromkeys(path.rsplit("/", 1)[-1] for _, path, _ in self.requests if "/resolve/" in path))


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """Run the server while the block lasts; `hub.endpoint` is its address."""

    class Handler(_Handler):
        state = hub

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    hub.elsewhere = f"http://localhost:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class _Handler(BaseHTTPRequestHandler):
    state: Hub
    protocol_version = "HTTP/1.1"

    def log_message(self, *_: object) -> None:
        """Keep quiet."""

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        quoted = self.path.split("?")[0].lstrip("/")
        path = unquote(quoted)
        self.state.requests.append((self.command, path, dict(self.headers)))
        if path.startswith("api/models/"):
            self._listing(path.removeprefix("api/models/"))
        elif path.startswith("elsewhere/"):
            commit, name = path.removeprefix("elsewhere/").split("/", 1)
            contents = (
                repo.commits[commit][name] for repo in self.state.repositories.values() if commit in repo.commits
            )
            self._content(name, next(contents), {})
        elif "/resolve/" in path:
            repository, rest = quoted.split("/resolve/")
            revision, name = map(unquote, rest.split("/", 1))  # the slashes of a revision are quoted
            self._file(repository, revision, name)
        else:
            self._error(404, None, "no such page")

    def _find(self, repository: str, revision: str) -> tuple[Repository, str] | None:
        repo = self.state.repositories.get(repository)
        if repo is None:
            self._error(401, "RepoNotFound", "Repository not found")
            return None
        if repo.gated and "authorization" not in {key.lower() for key in self.headers}:
            self._error(403, "GatedRepo", "Access to this repository is restricted")
            return None
        commit = repo.refs.get(revision, revision)
        if commit not in repo.commits:
            self._error(404, "RevisionNotFound", f"Invalid rev id: {revision}")
            return None
        return repo, commit

    def _listing(self, rest: str) -> None:
        repository, _, revision = rest.partition("/revision/")
        found = self._find(repository, revision or "main")
        if found is not None:
            repo, commit = found
            siblings = [{"rfilename": name} for name in repo.commits[commit]]
            self._send(200, json.dumps({"id": repository, "sha": commit, "siblings": siblings}).encode(), {})

    def _file(self, repository: str, revision: str, name: str) -> None:
        found = self._find(repository, revision)
        if found is None:
            return
        repo, commit = found
        headers = {"X-Repo-Commit": commit}
        content = repo.commits[commit].get(name)
        if name in self.state.forbidden:
            self._error(403, None, "forbidden")
        elif content is None:
            self._error(404, "EntryNotFound", f"{name} does not exist", headers)
        elif name.endswith(LARGE):
            size = self.state.lie_about_size.get(name, len(content))
            headers |= {
                "X-Linked-Etag": f'"{hashlib.sha256(content).hexdigest()}"',
                "X-Linked-Size": str(size),
                "Location": f"{self.state.elsewhere}/elsewhere/{commit}/{name}",
            }
            self._send(302, b"", headers)
        else:
            self._content(name, content, headers)
        if self.command == "GET" and name in self.state.move_after:
            moved, to = self.state.move_after.pop(name)
            self.state.repositories[moved].refs["main"] = to

    def _content(self, name: str, content: bytes, headers: dict[str, str]) -> None:
        headers = {**headers, "ETag": f'"{hashlib.sha1(content).hexdigest()}"', "Accept-Ranges": "bytes"}
        start = 0
        if "Range" in self.headers:
            start = int(self.headers["Range"].removeprefix("bytes=").split("-")[0])
            headers["Content-Range"] = f"bytes {start}-{len(content) - 1}/{len(content)}"
        rest = content[start:]
        breaks = self.state.break_after.get(name, []) if self.command == "GET" else []
        self._send(206 if start else 200, rest, headers, breaks.pop(0) if breaks else None)

    def _error(self, status: int, code: str | None, text: str, headers: dict[str, str] | None = None) -> None:
        codes = {"X-Error-Code": code, "X-Error-Message": text} if code else {}
        self._send(status, b"", {**(headers or {}), **codes})

    def _send(self, status: int, body: bytes, headers: dict[str, str], break_after: int | None = None) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(body)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command == "HEAD":
            return
        self.wfile.write(body[:break_after])
        if break_after is not None:
            self.close_connection = True
