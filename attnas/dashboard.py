"""The live page of a run: its report on localhost, as it is while the search goes on."""

import gzip
import logging
import signal
from collections.abc import Callable, Iterable, Mapping
from functools import cache
from html import escape
from pathlib import Path
from types import TracebackType
from typing import Any
from urllib.parse import parse_qs

from waitress import create_server

from attnas.core import AttnasError, InputError

from .published import Published

ADDRESS = "127.0.0.1"  # this machine alone can see it
HOSTS = (ADDRESS, "localhost")
REFRESH_SECONDS = 10

_LIMITS = {  # of waitress, which reads and writes in one thread, and never waits for a client
    "threads": 4,
    "connection_limit": 512,
    "channel_timeout": 15,  # seconds in which a client says nothing and takes nothing
    "cleanup_interval": 5,
    "max_request_header_size": 16_384,
    "max_request_body_size": 1_024,
    "inbuf_overflow": 1_024,
    "asyncore_use_poll": True,
    "ident": None,
}
_HEADERS = [
    ("X-Content-Type-Options", "nosniff"),
    ("Referrer-Policy", "no-referrer"),
    ("Cross-Origin-Resource-Policy", "same-origin"),
]
_PROBLEM = """<!doctype html><html lang="en"><head><meta charset="utf-8"><title>attnas</title>
<meta http-equiv="refresh" content="{seconds}"></head><body><p>{text}</p></body></html>"""

Start = Callable[[str, list[tuple[str, str]]], object]


class Dashboard:
    """The server of one run's page; `serve_forever` runs it, `shutdown` ends that.

    Raises:
        InputError: the port is in use or not allowed.
    """

    def __init__(self, folder: Path, port: int, trust: bool = False) -> None:
        logging.getLogger("waitress").setLevel(logging.CRITICAL)  # what clients do is their affair
        self.pages = Published(folder, trust=trust)
        self._map: dict[int, Any] = {}
        try:
            self._server = create_server(
                self._answer, map=self._map, host=ADDRESS, port=port, **_LIMITS
            )
        except (OSError, OverflowError, ValueError) as error:
            said = getattr(error, "strerror", None) or str(error)
            raise InputError(
                f"{port} cannot be used: {said}. --port 0 takes any free one.", key="--port"
            ) from error
        self.server_address = (ADDRESS, int(self._server.effective_port))

    def __enter__(self) -> "Dashboard":
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        self._close_connections()
        self.pages.close()

    @property
    def url(self) -> str:
        return f"http://{ADDRESS}:{self.server_address[1]}/"

    def serve_forever(self) -> None:
        """Answers until `shutdown` or Ctrl-C, which is raised."""
        try:
            self._server.asyncore.loop(timeout=1.0, map=self._map, use_poll=True)
        finally:
            self._server.task_dispatcher.shutdown(timeout=1)

    def shutdown(self) -> None:
        """Ends `serve_forever`, from another thread."""
        self._server.trigger.pull_trigger(self._close_connections)

    def _close_connections(self) -> None:
        self._server.asyncore.close_all(self._map, ignore_all=True)

    def _answer(self, environ: Mapping[str, Any], start: Start) -> Iterable[bytes]:
        """A WSGI application: the page at `/`, plotly, and the content that is new to a client."""
        host = str(environ.get("HTTP_HOST", "")).partition(":")[0]
        if host not in HOSTS:  # a name of another site that points here
            return _text(start, "403 Forbidden", "This page is for localhost.")
        if environ["REQUEST_METHOD"] not in ("GET", "HEAD"):
            return _text(start, "405 Method Not Allowed", "This page can be looked at only.")
        path = environ.get("PATH_INFO", "")
        try:
            if path == "/":
                return _compressed(start, "text/html", self.pages.page())
            if path == "/plotly.js":
                return _compressed(start, "text/javascript", _plotly(), keep=True)
            if path == "/content":
                asked = parse_qs(str(environ.get("QUERY_STRING", ""))).get("since", [""])
                new = self.pages.content(asked[0])
                if new is None:
                    start("204 No Content", [*_HEADERS, ("Cache-Control", "no-store")])
                    return []
                return _compressed(start, "application/json", new)
        except AttnasError as error:  # the page tries again by itself
            text = _PROBLEM.format(seconds=REFRESH_SECONDS, text=escape(str(error)))
            return _text(start, "503 Service Unavailable", text, "text/html")
        return _text(start, "404 Not Found", "There is nothing here.")


@cache
def _plotly() -> bytes:
    from plotly.offline import get_plotlyjs

    return gzip.compress(get_plotlyjs().encode(), 6, mtime=0)


def _text(start: Start, status: str, text: str, kind: str = "text/plain") -> list[bytes]:
    content = text.encode()
    _begin(start, status, kind, content, [("Cache-Control", "no-store")])
    return [content]


def _compressed(start: Start, kind: str, content: bytes, *, keep: bool = False) -> list[bytes]:
    """What every browser unpacks."""
    caching = "private, max-age=86400" if keep else "no-store"
    headers = [("Cache-Control", caching), ("Content-Encoding", "gzip")]
    _begin(start, "200 OK", kind, content, headers)
    return [content]


def _begin(
    start: Start, status: str, kind: str, content: bytes, headers: list[tuple[str, str]]
) -> None:
    own = [("Content-Type", f"{kind}; charset=utf-8"), ("Content-Length", str(len(content)))]
    start(status, [*own, *headers, *_HEADERS])


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
