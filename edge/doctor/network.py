"""Checks of what the service has a network for: its optional parts, the live page, the broker."""

from __future__ import annotations

import importlib.util
import socket
import ssl
import sys
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from edge.doctor.finding import (
    FAULT,
    INSTALL,
    INSTALLED,
    NOT_HERE,
    OK,
    WARNING,
    Context,
    Finding,
    pip,
    try_code,
)
from edge.doctor.installation import IMPORT_TIMEOUT_S
from edge.errors import EdgeError, one_line, reason_of
from edge.sources.address import CLIP, NETWORK, RTSP, parse

ANSWER_TIMEOUT_S = 2.0
CHILD_TIMEOUT_S = 10.0  # Python starts, and a name is looked up, which has no limit of its own
# The parts, the key that switches each on, and the modules that it needs.
PARTS = (
    ("web", "listen", ("tornado", "prometheus_client")),
    ("mqtt", "url", ("paho.mqtt.client",)),
)
# Beside the configuration; systemd hands them over.
SECRETS = (
    "web-token",
    "mqtt-password",
    "camera-password",
)
EMPTY_BYTES = 1  # a line without a letter
PORTS = {"mqtt": 1883, "mqtts": 8883}
JOURNAL = "journalctl -u edge-watch -n 50 --no-pager"


def _setting(context: Context, section: str, key: str) -> str:
    """Return a text of the configuration; "" if it is not set, or cannot be read."""
    try:
        from tomllib import loads  # Python 3.11's: an older one is to hear of its age

        told: dict[str, Any] = loads(context.configuration.read_text())
    except (
        ImportError,
        OSError,
        ValueError,
    ):  # absent, or reported by the check of the configuration
        return ""
    of = told.get(section) if section else told
    value = of.get(key) if isinstance(of, dict) else None
    return value if isinstance(value, str) else ""


def parts(context: Context) -> Finding:
    """Whether the optional parts that the configuration switches on are there, with a network."""
    wanted = {part: needs for part, key, needs in PARTS if _setting(context, part, key)}
    kind = _kind_of_source(context)
    on_network = [*wanted, *(["the camera"] if kind in NETWORK else [])]
    if kind in (CLIP, RTSP):
        wanted["video"] = ("av",)
    if not wanted and not on_network:
        return Finding(NOT_HERE, "neither the live page, MQTT nor a network camera is configured")
    remedy = _install(",".join(wanted))
    for part, needs in wanted.items():
        for module in needs:
            if reason := _missing(module):
                return Finding(FAULT, f"[{part}] needs {module}, which {reason}", remedy)
    units = context.root / "etc/systemd/system"
    unit, given = units / f"{context.unit}.service", units / f"{context.unit}.service.d"
    has_network = any(map(_gives_network, given.glob("*.conf")))
    if unit.is_file() and on_network and not has_network:
        fault = f"{' and '.join(on_network)}, but the unit has no network"
        return Finding(FAULT, fault, remedy if wanted else INSTALL)
    return Finding(OK, " and ".join(dict.fromkeys([*on_network, *wanted])))


def _kind_of_source(context: Context) -> str:
    try:
        return parse(_setting(context, "", "source") or "camera").kind
    except EdgeError:  # reported by the check of the configuration
        return ""


def _missing(module: str) -> str:
    if not importlib.util.find_spec(module.partition(".")[0]):
        return "is not installed"
    reason = try_code(f"import {module}", IMPORT_TIMEOUT_S).reason
    return reason and f"does not load ({reason})"


def _gives_network(dropin: Path) -> bool:
    lines = dropin.read_text(errors="replace").splitlines()
    return any(line.startswith("RestrictAddressFamilies=") and "INET" in line for line in lines)


def _install(names: str) -> str:
    if sys.prefix.startswith(INSTALLED):
        return f"{INSTALL} --with {names}"
    return pip(f"install 'edge-classify[{names}]'")


def secrets(context: Context) -> Finding:
    """Whether token and password are root's alone to read."""
    paths = [context.configuration.parent / name for name in SECRETS]
    there = [path for path in paths if path.exists()]
    for path in there:
        if path.stat().st_mode & 0o077:
            return Finding(WARNING, f"{path}: others can read it", f"sudo chmod 600 {path}")
    return Finding(OK, ", ".join(map(str, there))) if there else Finding(NOT_HERE, "none")


def _has_token(context: Context) -> bool:
    """Whether the page has controls, according to the files."""
    handed = context.configuration.parent / SECRETS[0]
    is_there = handed.exists() and handed.stat().st_size > EMPTY_BYTES
    return is_there or bool(_setting(context, "web", "token_file"))


def live_page(context: Context) -> Finding:
    """Check whether the live page responds, and to whom."""
    listen = _setting(context, "web", "listen")
    if not listen:
        return Finding(NOT_HERE, "off: [web] listen is not set")
    host, _, port = listen.rpartition(":")
    host = host.strip("[]") or "127.0.0.1"
    if not port.isdecimal() or int(port) > 65535:  # the configuration's check reports it
        return Finding(FAULT, f"[web] listen is {listen!r}", f"sudoedit {context.configuration}")
    here = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # all addresses: this one too
    whose = "this machine alone" if _is_loopback(host) else "anyone who can reach this machine"
    try:
        status, said = _health(here, int(port))
    except (OSError, HTTPException) as error:
        found = f"no response at {listen} ({reason_of(error)})"
        return Finding(WARNING, found, f"{JOURNAL}; sudo ss -ltnp 'sport = :{port}'")
    found = f"responds at {listen}, for {whose}"
    if status == 200:
        controls = "controls by token" if _has_token(context) else "no token, so no controls"
        return Finding(OK, f"{found}; {controls}")
    return Finding(WARNING, f"{found}, but with status {status}: {said}", JOURNAL)


def _is_loopback(host: str) -> bool:
    return host in ("::1", "localhost") or host.startswith("127.")


def _health(host: str, port: int) -> tuple[int, str]:
    connection = HTTPConnection(host, port, timeout=ANSWER_TIMEOUT_S)
    try:
        connection.request("GET", "/healthz")
        answer = connection.getresponse()
        return answer.status, one_line(answer.read(200).decode(errors="replace").strip())
    finally:
        connection.close()


def broker(context: Context) -> Finding:
    """Whether the MQTT broker can be reached, and its certificate holds."""
    url = _setting(context, "mqtt", "url")
    if not url:
        return Finding(NOT_HERE, "off: [mqtt] url is not set")
    try:
        told = urlsplit(url)
        host, port = told.hostname, told.port or PORTS.get(told.scheme)
    except ValueError:
        host = port = None
    if not host or not port:
        return Finding(FAULT, "[mqtt] url names no broker", f"sudoedit {context.configuration}")
    ca_file = _setting(context, "mqtt", "ca_file") if told.scheme == "mqtts" else None
    code = f"from edge.doctor.network import reach; reach({host!r}, {port}, {ca_file!r})"
    outcome = try_code(code, CHILD_TIMEOUT_S)
    where = f"{host}:{port}{' by TLS' if ca_file is not None else ''}"
    if outcome.reason:
        found = f"{where} cannot be reached ({outcome.reason})"
        return Finding(WARNING, found, _broker_remedy(outcome.reason, host))
    secret = context.configuration.parent / SECRETS[1]
    code = (
        f"from edge.doctor.network import log_in; log_in({str(context.configuration)!r}, "
        f"{str(secret)!r})"
    )
    outcome = try_code(code, CHILD_TIMEOUT_S)
    if not outcome.reason:
        return Finding(OK, f"{where} accepts this device's login")
    if "ModuleNotFoundError" in outcome.reason:  # which the check of the parts names
        return Finding(OK, f"{where} accepts connections")
    found = f"{where} accepts connections, but not this device's login ({outcome.reason})"
    return Finding(FAULT, found, f"check the user in [mqtt] url, and write its password: {secret}")


def reach(host: str, port: int, ca_file: str | None) -> None:
    """Connect to a broker within ANSWER_TIMEOUT_S, and take leave.

    Args:
        host: its name or address.
        port: of TCP.
        ca_file: whose signature to trust; "": the system's; None: no TLS.

    Raises: OSError.
    """
    with socket.create_connection((host, port), ANSWER_TIMEOUT_S) as plain:
        if ca_file is not None:
            trust = ssl.create_default_context(cafile=ca_file or None)
            trust.wrap_socket(plain, server_hostname=host).close()


def log_in(configuration: str, secret: str) -> None:
    """Log in to the broker as the service does.

    Args:
        configuration: the service's file.
        secret: the file that systemd hands over to it, where the configuration names none.

    Raises: OSError, EdgeError, PermissionError where the broker rejects.
    """
    from edge.service.configuration import build, read
    from edge.service.mqtt.login import try_login
    from edge.service.mqtt.settings import PASSWORD_VARIABLE

    settings = build(read(Path(configuration))).mqtt
    environment = {}
    if not settings.password_file and Path(secret).exists():
        environment[PASSWORD_VARIABLE] = Path(secret).read_text().partition("\n")[0].strip()
    try_login(settings, settings.password(environment), ANSWER_TIMEOUT_S)


def _broker_remedy(reason: str, host: str) -> str:
    if "CERTIFICATE" in reason:
        return (
            "set ca_file under [mqtt] to the CA certificate that signed it; check the clock: date"
        )
    if "FileNotFound" in reason or "SSL" in reason:
        return "check url and ca_file under [mqtt]: mqtt:// is without TLS, mqtts:// with it"
    if "gaierror" in reason:
        return f"getent hosts {host}; or put the broker's address into [mqtt] url"
    return f"ping -c 3 {host}; check that the broker runs there and listens on the network"
