"""What a notification is sent to: Apprise's json:// at a real server."""

from __future__ import annotations

import base64
import http.server
import json
import threading

SECRET = "a-password-in-a-url"


class Target:
    """A server that keeps what it is sent, and responds with `status`; None: it hangs."""

    def __init__(self) -> None:
        self.status: int | None = 200
        self.bodies: list[dict[str, object]] = []
        self.released = threading.Event()
        target = self

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                if target.status is None:
                    target.released.wait(30)
                    return
                if target.status == 200:
                    target.bodies.append(body)
                self.send_response(target.status)
                self.end_headers()

            def log_message(self, *_: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()
        self.url = f"json://user:{SECRET}@127.0.0.1:{self.server.server_port}/path"

    def images(self) -> list[bytes]:
        return [
            base64.b64decode(attached["base64"])  # type: ignore[index]
            for body in self.bodies
            for attached in body["attachments"]  # type: ignore[attr-defined]
        ]

    def close(self) -> None:
        """End it."""
        self.released.set()
        self.server.shutdown()
        self.server.server_close()
