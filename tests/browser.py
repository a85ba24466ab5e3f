"""Open pages in a headless browser and evaluate JavaScript there, through the browser's debugging pipe."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

BROWSER = shutil.which("chromium") or shutil.which("google-chrome")
OPTIONS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--autoplay-policy=no-user-gesture-required",
    "--remote-debugging-pipe",
)


class Tab:
    """A page in the browser."""

    def __init__(self, write: int, read: int) -> None:
        self._write, self._read, self._count, self._session, self._unread = write, read, 0, "", b""
        target = self.call("Target.createTarget", url="about:blank")["targetId"]
        self._session = self.call("Target.attachToTarget", targetId=target, flatten=True)["sessionId"]

    def call(self, method: str, **parameters: Any) -> dict[str, Any]:
        """Call a method of the DevTools protocol and return its result."""
        self._count += 1
        message = {"id": self._count, "method": method, "params": parameters}
        if self._session:
            message["sessionId"] = self._session
        os.write(self._write, json.dumps(message).encode() + b"\0")
        while (reply := self._receive()).get("id") != self._count:
            pass
        assert "error" not in reply, reply
        return dict(reply["result"])

    def _receive(self) -> dict[str, Any]:
        while b"\0" not in self._unread:
            part = os.read(self._read, 1 << 16)
            assert part, "the browser ended"
            self._unread += part
        text, self._unread = self._unread.split(b"\0", 1)
        return dict(json.loads(text))

    def open(self, page: Path, width: int = 1280, height: int = 900) -> None:
        """Load a page in a window of this size in CSS pixels, a phone's below 500."""
        size = {"width": width, "height": height, "deviceScaleFactor": 1, "mobile": width < 500}
        self.call("Emulation.setDeviceMetricsOverride", **size)
        self.call("Page.navigate", url=page.as_uri())
        self.run(
            "new Promise(r => document.readyState === 'complete' ? r() : window.addEventListener('load', r))"
        )

    def run(self, expression: str) -> Any:
        """Evaluate an expression, wait for its promise, and return its value."""
        result = self.call("Runtime.evaluate", expression=expression, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in result, result
        return result["result"].get("value")


@contextmanager
def open_browser(folder: Path) -> Iterator[Tab]:
    """Start a browser with an empty profile in `folder`."""
    assert BROWSER is not None
    to_browser, of_browser = os.pipe(), os.pipe()
    ends = (to_browser[0], of_browser[1])

    def move_ends() -> None:  # the browser reads from 3 and writes to 4
        copies = [os.dup(os.dup(end)) for end in ends]
        os.dup2(copies[0], 3)
        os.dup2(copies[1], 4)

    command = [BROWSER, *OPTIONS, f"--user-data-dir={folder / 'profile'}"]
    process = subprocess.Popen(
        command, pass_fds=(3, 4), preexec_fn=move_ends, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    for end in ends:
        os.close(end)
    try:
        yield Tab(to_browser[1], of_browser[0])
    finally:
        process.kill()
        process.wait()
        os.close(to_browser[1])
        os.close(of_browser[0])
