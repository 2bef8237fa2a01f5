"""The [web] settings: the live page."""

from __future__ import annotations

import os
import re
import socket
from collections.abc import Mapping
from dataclasses import dataclass

from edge.errors import ConfigurationError, checked
from edge.files import secret

LOCAL = "127.0.0.1"
TOKEN_VARIABLE, CREDENTIAL = "EDGE_WEB_TOKEN", "web-token"
VIEW_VARIABLE, VIEW_CREDENTIAL = "EDGE_WEB_VIEW_TOKEN", "web-view-token"
SHORTEST_TOKEN = 8  # characters; a shorter one is soon guessed


@dataclass(frozen=True)
class WebSettings:
    """The configuration's [web] section, whose keys `edge.commands.keys` describes."""

    listen: str = ""
    hosts: tuple[str, ...] = ()
    url: str = ""
    token_file: str = ""
    view_token_file: str = ""
    dataset: str = ""
    dataset_max_files: int = 5000
    dataset_max_mb: float = 1000.0
    stream_fps: float = 10.0
    proxy_kbit_s: float = 1500.0

    def __post_init__(self) -> None:
        """Raises: ConfigurationError."""
        checked("web.dataset_max_files", self.dataset_max_files, 1, 1_000_000)
        checked("web.dataset_max_mb", self.dataset_max_mb, 0.1, 1e6)
        checked("web.stream_fps", self.stream_fps, 0.1, 60.0)
        checked("web.proxy_kbit_s", self.proxy_kbit_s, 0.0, 1e6)
        for name in self.hosts:
            if not re.fullmatch(r"[A-Za-z0-9]([A-Za-z0-9._-]{0,251}[A-Za-z0-9])?", name):
                fault = f"must be host names without scheme and port. Received: {name!r}"
                raise ConfigurationError("web.hosts", fault, 'for example ["cam.example.org"]')
        if self.url and not re.fullmatch(r"https?://[^\s/?#]+(/[^\s?#]*)?", self.url):
            fault = f"must be a URL of http or https. Received: {self.url!r}"
            raise ConfigurationError("web.url", fault, 'for example "https://cam.example.org/"')
        if self.listen:
            self.address  # noqa: B018  (it is looked at, and rejected where it is none)

    @property
    def address(self) -> tuple[str, int]:
        """The host and port of `listen`. Raises: ConfigurationError."""
        host, _, port = self.listen.rpartition(":")
        inner = host.removeprefix("[").removesuffix("]")
        bracketed = host == f"[{inner}]"
        # str.isdecimal takes the digits of every script, and so does int.
        if (
            not re.fullmatch(r"[0-9]{1,5}", port)
            or int(port) > 65535
            or (":" in inner) != bracketed
        ):
            fault = f"must be [HOST:]PORT. Received: {self.listen!r}"
            remedy = "for example 8080 (this machine alone), 0.0.0.0:8080 (IPv4), *:8080 (all)"
            raise ConfigurationError("web.listen", fault, remedy)
        return inner or LOCAL, int(port)

    @property
    def page(self) -> str:
        """The page's URL for other machines, with a slash at its end; "" where they have none."""
        if not self.listen:
            return ""
        host, port = self.address
        if self.url:
            return self.url.rstrip("/") + "/"
        if host in ("localhost", "::1") or host.startswith("127."):
            return ""
        everywhere = host in ("*", "0.0.0.0", "::")
        name = socket.gethostname() if everywhere else f"[{host}]" if ":" in host else host
        return f"http://{name}:{port}/"

    def view_token(self, environment: Mapping[str, str] = os.environ) -> str:
        """What viewing requires; "" where nothing does. Raises: ConfigurationError."""
        named = ("web.view_token_file", self.view_token_file)
        token = secret(*named, VIEW_VARIABLE, VIEW_CREDENTIAL, environment)
        return _checked_token(token, is_named=bool(self.view_token_file))

    def token(self, environment: Mapping[str, str] = os.environ) -> str:
        """Return the token of the controls; "" if there are none. Raises: ConfigurationError."""
        token = secret("web.token_file", self.token_file, TOKEN_VARIABLE, CREDENTIAL, environment)
        return _checked_token(token, is_named=bool(self.token_file))


def _checked_token(token: str, *, is_named: bool) -> str:
    """A token, if there is one. Raises: ConfigurationError."""
    if (token or is_named) and not _is_token(token):
        fault = f"must be at least {SHORTEST_TOKEN} letters, digits or signs, without a space"
        raise ConfigurationError("the web token", fault, "make one: openssl rand -hex 16")
    return token


def _is_token(text: str) -> bool:
    """Whether a header can carry it, and no one guesses it."""
    return len(text) >= SHORTEST_TOKEN and all("!" <= character <= "~" for character in text)
