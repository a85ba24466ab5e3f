"""Requests that the page refuses."""

import asyncio
from typing import Any

import pytest

from cyclegan_audio.web.guard import RequestGuard, is_from_page

HOST = "127.0.0.1:7860"
LINK = {"sec-fetch-mode": "navigate", "sec-fetch-dest": "document"}


@pytest.mark.parametrize(
    ("method", "headers"),
    [
        ("GET", {}),
        ("GET", {"sec-fetch-site": "cross-site", **LINK}),
        ("GET", {"sec-fetch-site": "none", **LINK}),  # typed
        ("GET", {"sec-fetch-site": "same-origin", "sec-fetch-mode": "cors", "sec-fetch-dest": "empty"}),
        ("POST", {}),  # no browser
        ("POST", {"origin": f"http://{HOST}", "sec-fetch-site": "same-origin"}),
        ("POST", {"host": "localhost:9000", "origin": "http://localhost:9000"}),  # through a tunnel
    ],
)
def test_the_page_itself_is_answered(method, headers):
    assert is_from_page(method, "/gradio_api/queue/join", {"host": HOST, **headers})


@pytest.mark.parametrize(
    ("method", "path", "headers"),
    [
        ("GET", "/", {"host": "evil.example:7860"}),  # resolves to 127.0.0.1
        ("GET", "/", {"host": "127.0.0.1.evil.example"}),
        ("GET", "/", {"host": ""}),
        ("POST", "/gradio_api/upload", {"origin": "https://evil.example"}),
        ("POST", "/gradio_api/upload", {"origin": "http://localhost:8080"}),
        ("POST", "/gradio_api/upload", {"origin": "null"}),  # a sandboxed frame
        ("GET", "/gradio_api/queue/data", {"origin": "null"}),
        ("POST", "/gradio_api/queue/join", {"sec-fetch-site": "cross-site"}),
        ("POST", "/gradio_api/queue/join", {"sec-fetch-site": "same-site"}),
        ("POST", "/gradio_api/queue/join", {"sec-fetch-site": "cross-site", **LINK}),
        ("GET", "/gradio_api/file=/x.wav", {"sec-fetch-site": "cross-site"}),
        ("GET", "/gradio_api/file=/x.wav", {"sec-fetch-site": "same-site", "sec-fetch-mode": "no-cors"}),
        ("GET", "/", {"sec-fetch-site": "cross-site", **LINK, "sec-fetch-dest": "iframe"}),
        ("GET", "/gradio_api/file=http://192.0.2.1/x", {}),
        ("GET", "/gradio_api/file=HTTP://192.0.2.1/x", {}),
        ("GET", "/gradio_api/file=http:%2F%2F192.0.2.1/x", {}),
        ("GET", "/gradio_api/proxy=https://evil.example/", {}),
    ],
)
def test_others_are_refused(method, path, headers):
    assert not is_from_page(method, path, {"host": HOST, **headers})


def answer(path: str, headers: dict[str, str]) -> list[dict[str, Any]]:
    """Return what the guard sends for a request to an application that answers 200."""
    sent: list[dict[str, Any]] = []

    async def application(scope: Any, receive: Any, send: Any) -> None:
        await send(
            {"type": "http.response.start", "status": 200, "headers": [(b"content-type", b"text/html")]}
        )

    async def send(message: Any) -> None:
        sent.append(message)

    scope = {
        "type": "http", "method": "GET", "path": path,
        "headers": [(name.encode(), value.encode()) for name, value in headers.items()],
    }  # fmt: skip
    asyncio.run(RequestGuard(application)(scope, None, send))  # type: ignore[arg-type]
    return sent


def test_a_refused_request_does_not_reach_the_page():
    assert [message.get("status") for message in answer("/", {"host": "evil.example"})] == [403, None]


@pytest.mark.parametrize("path", ["/gradio_api/file=/runs/mine/report/report.html", "/file=/runs/x.svg"])
def test_files_cannot_use_the_page(path):
    (start,) = answer(path, {"host": HOST})
    assert dict(start["headers"])[b"content-security-policy"].startswith(
        b"sandbox allow-scripts; default-src"
    )
    assert (b"x-content-type-options", b"nosniff") in start["headers"]


def test_the_page_asks_this_machine_only():
    (start,) = answer("/", {"host": HOST})
    assert start["status"] == 200
    policy = dict(start["headers"])[b"content-security-policy"].decode()
    assert policy.startswith("default-src 'self' ")
    assert not {"*", "http:", "https:"} & set(policy.split())
    assert "sandbox" not in policy
