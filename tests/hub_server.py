"""A server on this machine that answers the few requests that the client of the Hub makes."""

import json
import re
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from hashlib import sha1
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import unquote, urlsplit

Files = dict[str, bytes]


@dataclass
class Repository:
    """A model: the files of each commit, and the commits of branches and tags."""

    commits: dict[str, Files] = field(default_factory=dict)
    refs: dict[str, str] = field(default_factory=dict)
    private: bool = False
    gated: bool = False
    sizes: dict[str, int] = field(default_factory=dict)  # that the server claims, where they are wrong

    def commit(self, files: Files, *refs: str) -> str:
        """Add a commit, to which the refs then point; return its hash."""
        name = sha1(repr(sorted(files.items())).encode()).hexdigest()
        self.commits[name] = files
        self.refs |= dict.fromkeys(refs, name)
        return name


@dataclass
class Hub:
    """The server: its address, its models, and the requests that it got.

    Attributes:
        status: a status that every answer has, such as 503; None for ordinary answers.
        token: the token that may read private models.
        after_info: called after each answer about a model and its files.
    """

    address: str
    repositories: dict[str, Repository] = field(default_factory=dict)
    requests: list[str] = field(default_factory=list)
    status: int | None = None
    token: str = "secret"
    after_info: Callable[[], object] | None = None

    def add(self, name: str, files: Files, *refs: str) -> str:
        """Add a commit to a model, which is `main` unless refs are given; return its hash."""
        repository = self.repositories.setdefault(name, Repository())
        return repository.commit(files, *(refs or ("main",)))

    def fetched(self) -> set[str]:
        """Return the names of the files that were asked for."""
        return {request.rpartition("/")[2] for request in self.requests if "/resolve/" in request}


class _Handler(BaseHTTPRequestHandler):
    hub: Hub

    def log_message(self, *args: object) -> None:
        """Print nothing."""

    def do_GET(self) -> None:
        self._respond()

    def do_HEAD(self) -> None:
        self._respond()

    def do_POST(self) -> None:
        self.body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._respond()

    def _respond(self) -> None:
        path = unquote(urlsplit(self.path).path)
        if not path.startswith("/api/agent"):  # about the caller of the client; it asks once a day
            self.hub.requests.append(f"{self.command} {path}")
        if self.hub.status is not None:
            self._send(self.hub.status, b"")
        elif self.command == "POST":
            new = json.loads(self.body)
            url = f"{self.hub.address}/{new['organization']}/{new['name']}"
            self._send(200, json.dumps({"url": url}).encode())
        elif match := re.fullmatch(r"/api/models/([^/]+/[^/]+)(?:/revision/(.+))?", path):
            self._send_info(match[1], match[2] or "main")
        elif match := re.fullmatch(r"/([^/]+/[^/]+)/resolve/([^/]+)/(.+)", path):
            self._send_file(match[1], match[2], match[3])
        else:
            self._send(404, b"{}")

    def _find(self, name: str, revision: str) -> tuple[Repository, str] | None:
        """Return a model and the hash of a revision; send an error without them."""
        repository = self.hub.repositories.get(name)
        is_hidden = repository is not None and repository.private
        if repository is None or (is_hidden and self.hub.token not in self.headers.get("Authorization", "")):
            self._send(401 if is_hidden else 404, b"{}", **{"X-Error-Code": "RepoNotFound"})
            return None
        commit = repository.refs.get(revision, revision)
        if commit not in repository.commits:
            self._send(404, b"{}", **{"X-Error-Code": "RevisionNotFound"})
            return None
        return repository, commit

    def _send_info(self, name: str, revision: str) -> None:
        if (found := self._find(name, revision)) is not None:
            repository, commit = found
            sizes = {file: len(content) for file, content in repository.commits[commit].items()}
            siblings = [
                {"rfilename": file, "size": size, "blobId": "0"}
                for file, size in (sizes | repository.sizes).items()
            ]
            info = {"id": name, "modelId": name, "sha": commit, "private": repository.private, "tags": [],
                    "gated": "auto" if repository.gated else False, "siblings": siblings}  # fmt: skip
            if self.hub.after_info is not None:
                self.hub.after_info()
            self._send(200, json.dumps(info).encode(), **{"Content-Type": "application/json"})

    def _send_file(self, name: str, revision: str, file: str) -> None:
        if (found := self._find(name, revision)) is None:
            return
        repository, commit = found
        if repository.gated:
            self._send(403, b"{}", **{"X-Error-Code": "GatedRepo"})
        elif file not in repository.commits[commit]:
            self._send(404, b"{}", **{"X-Error-Code": "EntryNotFound", "X-Repo-Commit": commit})
        else:
            content = repository.commits[commit][file]
            headers = {"ETag": f'"{sha1(content).hexdigest()}"', "X-Repo-Commit": commit}
            self._send(200, content, **headers)

    def _send(self, status: int, content: bytes, **headers: str) -> None:
        self.send_response(status)
        for key, value in {"Content-Length": str(len(content)), **headers}.items():
            self.send_header(key, value)
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(content)


@contextmanager
def serve() -> Iterator[Hub]:
    """Run the server until the end of the block."""
    handler = type("Handler", (_Handler,), {})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    hub = Hub(f"http://127.0.0.1:{server.server_port}")
    handler.hub = hub  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


def read_files(folder: Path) -> Files:
    """Return the content of all files of a folder by their names."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}
