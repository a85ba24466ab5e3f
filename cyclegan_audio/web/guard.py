"""Refuse requests that other web sites make through the user's browser, and scripts in pages from runs."""

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import unquote, urlsplit

Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
Application = Callable[[Message, Receive, Send], Awaitable[None]]

HOSTS = ("127.0.0.1", "localhost")  # names of this machine in the address of the page, also through a tunnel
FILE_ROUTES = ("/gradio_api/file=", "/gradio_api/file/", "/file=", "/file/")
# The browser asks no other machine, also for versions of gradio that name scripts elsewhere.
PAGE_POLICY = b"default-src 'self' 'unsafe-inline' 'unsafe-eval' data: blob:; frame-ancestors 'self'"
# A page from a run has, beside that, an origin of its own, and cannot use this page.
FILE_POLICY = b"sandbox allow-scripts; " + PAGE_POLICY


class RequestGuard:
    """Middleware (ASGI) around the page, which answers 403 to what is not from the page itself.

    A request must name this machine as its host: a foreign name that resolves to 127.0.0.1 (DNS rebinding)
    does not. If the browser says from which site a request comes (`Origin`, `Sec-Fetch-Site`), it must be
    this one; a form of another site could else start a training (CSRF). A link may open the page. The page
    fetches no addresses for others. All is sent with a policy by which the browser asks this machine only,
    and files with one by which a report cannot use the page, whoever wrote it.
    """

    def __init__(self, app: Application) -> None:
        self.app = app

    async def __call__(self, scope: Message, receive: Receive, send: Send) -> None:
        """Answer a request."""
        if scope["type"] != "http":
            if scope["type"] == "lifespan":
                await self.app(scope, receive, send)
            return
        headers = {name.decode("latin-1"): value.decode("latin-1") for name, value in scope["headers"]}
        if not is_from_page(scope["method"], scope["path"], headers):
            await send({"type": "http.response.start", "status": 403, "headers": [(b"content-length", b"0")]})
            await send({"type": "http.response.body", "body": b""})
            return
        is_file = scope["path"].startswith(FILE_ROUTES)

        async def send_guarded(message: Message) -> None:
            if message["type"] == "http.response.start":
                added = [(b"x-content-type-options", b"nosniff"), (b"referrer-policy", b"no-referrer")]
                added += [(b"content-security-policy", FILE_POLICY if is_file else PAGE_POLICY)]
                message = {**message, "headers": [*message.get("headers", []), *added]}
            await send(message)

        await self.app(scope, receive, send_guarded)


def is_from_page(method: str, path: str, headers: MutableMapping[str, str]) -> bool:
    """Return whether a request comes from the page, or opens it.

    Args:
        method: the HTTP method.
        path: the decoded path.
        headers: by their names in lower case.
    """
    host = headers.get("host", "")
    if urlsplit(f"//{host}").hostname not in HOSTS:
        return False
    if any(path.startswith(f"{route}http") for route in FILE_ROUTES) or "://" in unquote(path):
        return False
    origin = headers.get("origin")
    if origin is not None and urlsplit(origin).netloc != host:
        return False
    if headers.get("sec-fetch-site", "same-origin") in ("same-origin", "none"):
        return True
    opens = (headers.get("sec-fetch-mode"), headers.get("sec-fetch-dest")) == ("navigate", "document")
    return opens and method in ("GET", "HEAD")  # a link on another site
