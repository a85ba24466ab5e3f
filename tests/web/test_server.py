"""The server of the page: what it reads, whom it answers, and how it ends."""

import http.client
import importlib.util
import json
import socket
import stat
from typing import Any
from urllib.parse import quote

import pytest

from cyclegan_audio import app
from cyclegan_audio.utils.errors import UserError
from cyclegan_audio.web import jobs, server
from cyclegan_audio.web.server import check_port, open_runs, serve
from cyclegan_audio.web.state import CHECK_S, MAX_AGE_S, PageState
from tests.web.conftest import free_port

SECRET = "a secret of the user"


def ask(served: Any, method: str, path: str, body: str | None = None, **headers: str) -> tuple[int, bytes]:
    """Send a request with exactly this path."""
    connection = http.client.HTTPConnection("127.0.0.1", served.port, timeout=60)
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    connection.request(method, path, body, names)
    response = connection.getresponse()
    return response.status, response.read()


def call(served: Any, function: str, data: list[Any]) -> dict[str, Any]:
    """Call a function of the page as its JavaScript does; return the last message."""
    _, text = ask(served, "GET", "/config")
    functions = [one["id"] for one in json.loads(text)["dependencies"] if one["api_name"] == function]
    body = json.dumps({"data": data, "fn_index": functions[0], "session_hash": "test"})
    status, text = ask(served, "POST", "/gradio_api/queue/join", body, content_type="application/json")
    assert status == 200, text
    _, text = ask(served, "GET", "/gradio_api/queue/data?session_hash=test")
    events = [json.loads(line.removeprefix("data: ")) for line in text.decode().splitlines() if line]
    return next(event for event in events if event["msg"] == "process_completed")


@pytest.mark.parametrize(
    "path",
    [
        "/gradio_api/file=/etc/passwd",
        "/gradio_api/file=../../../../etc/passwd",
        "/gradio_api/file=..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/gradio_api/file=%2e%2e/%2e%2e/%2e%2e/%2e%2e/%2e%2e/etc/passwd",
        "/gradio_api/file=RUNS/../secret.txt",
        "/gradio_api/file=RUNS/..%2fsecret.txt",
        "/gradio_api/file=RUNS/%252e%252e/secret.txt",
        "/gradio_api/file=RUNS/link.txt",
        "/gradio_api/file=RUNS/.app/train_mine.log",
        "/gradio_api/file=file:///etc/passwd",
        "/gradio_api/file/etc/passwd",
        "/static/../../../../../../etc/passwd",
        "/assets/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
        "/svelte/..%2f..%2f..%2f..%2f..%2f..%2fetc%2fpasswd",
    ],
)
def test_no_other_file_can_be_read(path, served):
    (served.runs.parent / "secret.txt").write_text(SECRET)
    (served.runs / ".app").mkdir(exist_ok=True)
    (served.runs / ".app" / "train_mine.log").write_text(SECRET)
    link = served.runs / "link.txt"
    if not link.is_symlink():
        link.symlink_to(served.runs.parent / "secret.txt")
    status, content = ask(served, "GET", path.replace("RUNS", str(served.runs)))
    assert status in (400, 403, 404)
    assert SECRET.encode() not in content
    assert b"root:" not in content


def test_files_of_runs_can_be_read(served):
    page = served.runs / "mine" / "report" / "report 1.html"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text("<p>a report</p>")
    assert ask(served, "GET", f"/gradio_api/file={quote(str(page))}") == (200, b"<p>a report</p>")


@pytest.mark.parametrize("song", ["/etc/passwd", "../../etc/passwd", "RUNS/secret.txt"])
def test_a_path_in_place_of_a_dropped_song_is_refused(song, served):
    (served.runs / "secret.txt").write_text(SECRET)
    path = song.replace("RUNS", str(served.runs))
    data = [{"path": path, "meta": {"_type": "gradio.FileData"}}, "demo", "rnb", 1, 1, "mask", 1]
    event = call(served, "translate", data)
    assert event["success"] is False
    assert SECRET not in json.dumps(event)


def test_a_model_that_is_not_in_the_list_is_refused(served):
    event = call(served, "describe", [str(served.runs.parent), "rnb"])
    assert event["success"] is False


def test_other_sites_are_refused(served):
    assert ask(served, "GET", "/", Host="evil.example")[0] == 403
    for path in ("/gradio_api/upload", "/gradio_api/queue/join"):
        assert ask(served, "POST", path, "x", Origin="http://evil.example")[0] == 403
    assert ask(served, "GET", "/gradio_api/file=http://127.0.0.1:1/")[0] == 403


def test_the_page_is_private_and_sends_nothing_home(served):
    assert ask(served, "GET", "/")[0] == 200
    config = json.loads(ask(served, "GET", "/config")[1])
    assert config["analytics_enabled"] is False
    assert not config["is_colab"]
    assert stat.S_IMODE(served.cache.stat().st_mode) == 0o700
    assert "gradio.live" not in served.log.read_text()
    with socket.socket() as probe, pytest.raises(OSError):  # noqa: PT011
        probe.bind(("127.0.0.1", served.port))
    with socket.socket() as other:
        other.bind(("127.0.0.2", served.port))  # free: the page answers at its one address


def test_a_taken_port_is_one_line():
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        with pytest.raises(UserError, match=f"port {port} cannot be used .*--port {port + 1}"):
            check_port(port)
    with pytest.raises(UserError, match="--port must be from 1 to 65535"):
        check_port(70000)


def test_without_gradio_one_line_says_what_to_install(monkeypatch, tmp_path):
    monkeypatch.setattr(
        server, "find_spec", lambda name: None if name == "gradio" else importlib.util.find_spec(name)
    )
    with pytest.raises(UserError, match=r"pip install 'cyclegan-audio\[app\]'"):
        serve(tmp_path / "runs")
    assert not (tmp_path / "runs").exists()


def test_the_folder_of_runs_is_checked(tmp_path):
    assert open_runs(tmp_path / "new" / "runs").is_dir()
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="cannot write into"):
        open_runs(tmp_path / "file")
    with pytest.raises(UserError, match="has \\$\\{ in its name"):
        open_runs(tmp_path / "${x}")


def test_the_verb_passes_what_is_given(monkeypatch):
    given = []
    monkeypatch.setattr(server, "serve", lambda **options: given.append(options))
    app.main([])
    app.main(["--port", "9000", "runs=elsewhere"])
    assert given == [{}, {"port": 9000, "runs": "elsewhere"}]


def test_the_environment_is_set_for_the_page_only(monkeypatch):
    monkeypatch.setenv("GRADIO_SHARE", "true")
    import os

    with server.cache_folder() as cache:
        assert os.environ["GRADIO_TEMP_DIR"] == str(cache)
        assert os.environ["GRADIO_ANALYTICS_ENABLED"] == "False"
        assert "GRADIO_SHARE" not in os.environ
        (cache / "song.wav").touch()
    assert not cache.exists()
    assert os.environ["GRADIO_SHARE"] == "true"


def test_a_visitor_leaves_nothing(tmp_path):
    state = PageState(tmp_path / "runs", tmp_path)
    session = state.session("one")
    session.stop.clear()  # a translation runs
    (session.folder / "song.wav").touch()
    assert state.session("one") is session
    assert state.session("two").folder != session.folder
    state.end_session("one")
    assert session.stop.is_set()
    assert not session.folder.exists()
    assert state.session("two").folder.is_dir()
    state.end_session("never seen")


def test_songs_are_deleted_within_an_hour():
    assert CHECK_S + MAX_AGE_S <= 3600


def test_only_trainings_outlive_the_page(monkeypatch, tmp_path, capsys):
    pytest.importorskip("gradio")
    calls: list[tuple[str, str]] = []

    def interrupt(*_: Any) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(server, "launch", interrupt)
    monkeypatch.setattr(jobs.Jobs, "stop", lambda _, name: calls.append(("stop", name)))
    monkeypatch.setattr(jobs.Jobs, "wait", lambda _, name, __: calls.append(("wait", name)))
    monkeypatch.setattr(jobs.Jobs, "running", lambda _: "train mine")
    with pytest.raises(KeyboardInterrupt):
        serve(tmp_path / "runs", free_port())
    assert calls == [("stop", "prepare"), ("wait", "prepare"), ("stop", "report"), ("wait", "report")]
    assert "train mine goes on; start the page again to see or to stop it" in capsys.readouterr().out
