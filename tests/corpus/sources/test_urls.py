"""Tests of downloaded audio as a source, with a local server."""

import threading
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer

import pytest

from cyclegan_audio.corpus.sources.urls import ARCHIVE, UrlSource
from cyclegan_audio.utils.errors import UserError
from tests.corpus.noise_songs import write_noise

pytest.importorskip("yt_dlp")


class Handler(SimpleHTTPRequestHandler):
    """Serves a folder and records requests."""

    requests: list[str]

    def log_message(self, *_):
        pass

    def do_GET(self):
        self.requests.append(self.path)
        super().do_GET()


@pytest.fixture
def server(tmp_path):
    """Serve four songs locally; yield the address and the list of requests."""
    for number in range(4):
        write_noise(tmp_path / "served" / f"song{number}.wav", 1.2, seed=number)
    handler = type("Noting", (Handler,), {"requests": []})
    with ThreadingHTTPServer(("127.0.0.1", 0), partial(handler, directory=tmp_path / "served")) as http:
        threading.Thread(target=http.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{http.server_port}", handler.requests
        http.shutdown()


def test_links_are_downloaded_once(tmp_path, server, caplog):
    address, requests = server
    (tmp_path / "trap.txt").write_text(f"# mixes\n\n{address}/song2.wav\n{address}/nowhere.wav\n")
    links = {"lofi": [f"{address}/song0.wav", f"{address}/song1.wav"], "trap": str(tmp_path / "trap.txt")}
    source = UrlSource(links, tmp_path / "audio")
    files = source.files()
    assert [file.genre for file in files] == ["lofi", "lofi", "trap"]
    assert files[0].path.read_bytes() == (tmp_path / "served" / "song0.wav").read_bytes()
    assert "trap: a link is left out" in caplog.text
    assert len((tmp_path / "audio" / "lofi" / ARCHIVE).read_text().splitlines()) == 2
    n_requests = sum("song" in path for path in requests)
    assert source.files() == files
    new_requests = [path for path in requests if "song" in path][n_requests:]
    assert len(new_requests) <= 3  # metadata only
    assert source.describe()["links"]["trap"] == [f"{address}/song2.wav", f"{address}/nowhere.wav"]


def test_invalid_lists_are_refused(tmp_path):
    with pytest.raises(UserError, match="links of two genres"):
        UrlSource({"lofi": ["x"]}, tmp_path).files()
    (tmp_path / "empty.txt").write_text("# nothing\n")
    for name, message in (("empty.txt", "has no links"), ("none.txt", "cannot be read")):
        with pytest.raises(UserError, match=message):
            UrlSource({"a": str(tmp_path / name), "b": ["x"]}, tmp_path / "audio").files()
