"""Serve the page on this machine: one address, a cache folder of its own, no telemetry, an orderly end."""

import os
import shutil
import socket
import tempfile
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

from cyclegan_audio.utils.defaults import APP_PORT, RUNS
from cyclegan_audio.utils.errors import UserError, check_utf8
from cyclegan_audio.utils.printing import echo
from cyclegan_audio.web.guard import RequestGuard

if TYPE_CHECKING:
    import gradio as gr

ADDRESS = "127.0.0.1"
MAX_UPLOAD = "1gb"  # of one file
STOP_S = 20  # for a command to end with the page
CACHE_PREFIX = "cyclegan_audio_app_"


def serve(runs: str | Path = RUNS, port: int = APP_PORT) -> None:
    """Serve the page until Ctrl-C; trainings that it has started go on.

    Args:
        runs: the folder of runs, corpora and reports; created if it is missing.
        port: the port.

    Raises:
        UserError: gradio is not installed, the port is taken, or the folder cannot be written.
    """
    if find_spec("gradio") is None:
        raise UserError("the page needs a package: pip install 'cyclegan-audio[app]'")
    folder = open_runs(runs)
    check_port(port)
    with cache_folder() as cache:
        from cyclegan_audio.web.page import build_page
        from cyclegan_audio.web.state import MEASURE, PREPARE, PageState

        state = PageState(folder, cache)
        blocks = build_page(state)
        try:
            launch(blocks, folder, port)
            echo(f"the page: http://{ADDRESS}:{port}  (Ctrl-C ends it)", flush=True)
            threading.Event().wait()
        finally:
            blocks.close(verbose=False)
            for job in (PREPARE, MEASURE):  # only trainings go on
                state.jobs.stop(job)
                state.jobs.wait(job, STOP_S)
            if (training := state.jobs.running()) is not None:
                echo(f"{training} goes on; start the page again to see or to stop it")


def open_runs(runs: str | Path) -> Path:
    """Return the folder of runs as an absolute path without links; create it if it is missing.

    Raises:
        UserError: it cannot be created or written, or its name means something in settings.
    """
    check_utf8("the folder of runs", runs)
    folder = Path(runs).absolute()
    if "${" in str(folder):
        raise UserError(f"the folder of runs {folder} has ${{ in its name; choose another with --runs")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=folder):
            pass
    except OSError as error:
        raise UserError(
            f"cannot write into {folder} ({error.strerror}); choose another folder with --runs"
        ) from error
    return folder.resolve()


def check_port(port: int) -> None:
    """Check that a port is free.

    Raises:
        UserError: it is taken, not allowed, or no port.
    """
    if not 1 <= port <= 65535:
        raise UserError(f"--port must be from 1 to 65535, got {port}")
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((ADDRESS, port))
        except OSError as error:
            raise UserError(
                f"port {port} cannot be used ({error.strerror}); another page may be open there, choose "
                f"another port with --port {port % 65535 + 1}"
            ) from error


@contextmanager
def cache_folder() -> Iterator[Path]:
    """Create a new folder with a random name for dropped songs, for this user only; delete it at the end.

    It also sets what gradio reads from the environment, before gradio is imported.
    """
    before = dict(os.environ)
    cache = Path(tempfile.mkdtemp(prefix=CACHE_PREFIX)).resolve()  # mode 0700
    for name in [name for name in os.environ if name.startswith("GRADIO_")]:
        del os.environ[name]  # they could share the page or allow paths
    os.environ["GRADIO_TEMP_DIR"] = str(cache)
    os.environ["GRADIO_ANALYTICS_ENABLED"] = "False"
    os.environ["GRADIO_RUN_HISTORY"] = "False"  # newer versions keep it in the browser
    os.environ["HF_HUB_OFFLINE"] = "1"
    no_proxy = os.environ.get("no_proxy") or os.environ.get("NO_PROXY") or ""
    os.environ["no_proxy"] = os.environ["NO_PROXY"] = ",".join(filter(None, (no_proxy, ADDRESS)))
    try:
        yield cache
    finally:
        shutil.rmtree(cache, ignore_errors=True)
        os.environ.clear()
        os.environ.update(before)


def launch(blocks: "gr.Blocks", runs: Path, port: int) -> None:
    """Start the server in a thread of its own."""
    from starlette.middleware import Middleware

    from cyclegan_audio.web.design import CSS, theme

    blocks.queue(max_size=20, api_open=False)
    blocks.launch(
        server_name=ADDRESS,
        server_port=port,
        prevent_thread_lock=True,
        share=False,
        quiet=True,
        inbrowser=False,
        show_error=True,
        allowed_paths=[str(runs)],
        blocked_paths=[str(runs / ".app")],
        max_file_size=MAX_UPLOAD,
        ssr_mode=False,
        pwa=False,
        mcp_server=False,
        enable_monitoring=False,
        footer_links=[],
        theme=theme(),
        css=CSS,
        app_kwargs={"middleware": [Middleware(RequestGuard)], "docs_url": None, "redoc_url": None},
    )
