"""`keras-segnet serve`."""

from __future__ import annotations

from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer

from keras_segnet.cli.screen import say

PORT = 8000


def on_a_phone(port: int) -> list[str]:
    """Lines that say how a phone gets at what is served on a port."""
    return [
        f"On an Android phone on a USB cable: adb reverse tcp:{port} tcp:{port}, then http://localhost:{port}/ there.",
        "On other phones: put the folder on any https server.",
    ]


class _Handler(SimpleHTTPRequestHandler):
    """Sends the two headers that let WebAssembly use threads, and no log lines."""

    extensions_map = SimpleHTTPRequestHandler.extensions_map | {".js": "text/javascript", ".wasm": "application/wasm"}

    def end_headers(self) -> None:
        self.send_header("Cross-Origin-Opener-Policy", "same-origin")
        self.send_header("Cross-Origin-Embedder-Policy", "require-corp")
        self.send_header("Cache-Control", "no-cache")
        super().end_headers()

    def log_message(self, format: str, *args: object) -> None:
        pass


def serve(
    folder: Annotated[Path, typer.Argument(help="The folder that `keras-segnet export --format web` wrote.")],
    port: Annotated[int, typer.Option(min=0, max=65535, help="Listen on this port; 0 picks a free one.")] = PORT,
) -> None:
    """Serve a web export to this machine's browser, or to a phone on a USB cable.

    Browsers allow camera, GPU and threads only to pages from https or localhost. `adb reverse` makes this server the
    localhost of an Android phone on a cable. For other phones, put the folder on any https server.

    Example: `keras-segnet serve page --port 8000`
    """
    from keras_segnet.errors import InputError

    if not (folder / "model.json").is_file():
        raise InputError(
            f"{folder} is no web export (model.json is missing); keras-segnet export --format web writes one."
        )
    try:
        server = ThreadingHTTPServer(("localhost", port), partial(_Handler, directory=str(folder)))
    except OSError as error:
        raise InputError(f"port {port} cannot be listened on: {error.strerror}.") from error
    port = server.server_address[1]
    say(f"Serving {folder} at http://localhost:{port}/ until Ctrl-C.")
    for line in on_a_phone(port):
        say(line)
    with server:
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            say("Stopped.")
