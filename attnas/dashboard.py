"""The live page of a run: its report on localhost, made anew while the search goes on."""

import signal
import threading
import zlib
from collections.abc import Callable
from html import escape
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from attnas.core import AttnasError, InputError
from attnas.results import Run, report_page

ADDRESS = "127.0.0.1"  # this machine alone can see it
REFRESH_SECONDS = 10

# The browser asks what the run has come to and loads the page again only when that has changed,
# so that a figure being looked at stays as it is.
_SCRIPT = """
<script>
setInterval(async () => {{
  const answer = await fetch("/trials").catch(() => null);
  if (answer && answer.ok && await answer.text() !== "{state}") location.reload();
}}, {milliseconds});
</script>
</body>"""
_PROBLEM = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>attnas</title>
<meta http-equiv="refresh" content="{seconds}"></head><body><p>{text}</p></body></html>"""


class _Pages:
    """The page of a run, made again when trials were added or measured again."""

    def __init__(self, folder: Path, trust: bool = False) -> None:
        self.folder, self.trust = folder, trust
        self._lock = threading.Lock()  # one page at a time: each takes a second to make
        self._made: tuple[str, str] | None = None

    def state(self) -> str:
        with Run.open(self.folder, trust=self.trust) as run:
            return _state(run)

    def page(self) -> str:
        with self._lock, Run.open(self.folder, trust=self.trust) as run:
            state = _state(run)
            if self._made is None or self._made[0] != state:
                script = _SCRIPT.format(state=state, milliseconds=1000 * REFRESH_SECONDS)
                before, _, after = report_page(run).rpartition("</body>")
                self._made = state, before + script + after
            return self._made[1]


def _state(run: Run) -> str:
    """The number of trials, and what tells their latencies from those measured before."""
    if not run.remeasured:
        return str(len(run.trials))
    again = sorted((number, found.ms) for number, found in run.remeasured.items())
    return f"{len(run.trials)}-{zlib.crc32(repr(again).encode()):08x}"


class _Handler(BaseHTTPRequestHandler):
    """Answers `/` with the page and `/trials` with what the run's trials have come to."""

    server: "Dashboard"

    def do_GET(self) -> None:
        host = (self.headers.get("Host") or "").partition(":")[0]
        if host not in (ADDRESS, "localhost"):  # a name of another site that points here
            self._answer(HTTPStatus.FORBIDDEN, "text/plain", "This page is for localhost.")
            return
        try:
            path = self.path.partition("?")[0]
            if path == "/":
                self._answer(HTTPStatus.OK, "text/html", self.server.pages.page())
            elif path == "/trials":
                self._answer(HTTPStatus.OK, "text/plain", self.server.pages.state())
            else:
                self._answer(HTTPStatus.NOT_FOUND, "text/plain", "There is nothing here.")
        except AttnasError as error:  # the page tries again by itself
            text = _PROBLEM.format(seconds=REFRESH_SECONDS, text=escape(str(error)))
            self._answer(HTTPStatus.SERVICE_UNAVAILABLE, "text/html", text)

    def _answer(self, status: HTTPStatus, kind: str, text: str) -> None:
        content = text.encode("utf-8")
        self.send_response(status)
        self.send_header("Content-Type", f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(content)))
        self.send_header("Cache-Control", "no-store")
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: the terminal shows the URL alone."""


class Dashboard(ThreadingHTTPServer):
    """The server of one run's page; `serve_forever` runs it.

    Raises:
        InputError: the port is in use or not allowed.
    """

    daemon_threads = True  # a browser that keeps its connection does not keep the process

    def __init__(self, folder: Path, port: int, trust: bool = False) -> None:
        self.pages = _Pages(folder, trust)
        try:
            super().__init__((ADDRESS, port), _Handler)
        except (OSError, OverflowError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"{port} cannot be used: {said}. --port 0 takes any free one.", key="--port"
            ) from error

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_port}/"


def serve(folder: Path, port: int, say: Callable[[str], None], *, trust: bool = False) -> None:
    """Serves the page of the run in that folder until Ctrl-C, with which the process ends.

    `trust` as in `Run.open`.

    Raises:
        InputError: the port is in use or not allowed.
    """
    with Dashboard(folder, port, trust) as server:
        say(f"{server.url} shows {folder.resolve().name} while it grows. Ctrl-C ends this.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            signal.signal(signal.SIGINT, signal.SIG_IGN)  # a second Ctrl-C has nothing to end
            say("Ended. The page alone: the run is left as it is.")
