"""edge-watch --check: whether the service would work, but for its camera."""

from __future__ import annotations

import errno
import glob
import os
import re
import stat
import subprocess
from collections.abc import Iterator
from http.client import HTTPConnection, HTTPException
from importlib import import_module
from pathlib import Path

from edge.classifier.trial import try_model
from edge.commands import complain
from edge.commands.service import (
    NAME,
    needing,
    say,
    unwritable,
)
from edge.errors import ConfigurationError, EdgeError, SourceError, reason_of
from edge.service.configuration import Configuration
from edge.service.mqtt.settings import MqttSettings
from edge.service.sinks.folders import is_hidden
from edge.service.sinks.notify_settings import CREDENTIAL
from edge.service.sinks.pin import needed
from edge.service.web.settings import WebSettings
from edge.service.zones.opening import (
    check_snapshots,
    model_choice,
    model_options,
    model_paths,
    model_requirements,
)
from edge.service.zones.settings import overlaps
from edge.sources.address import CLIP

UNIT = "edge-watch.service"
ANSWER_S = 5.0  # of a broker, or of who has our port
SECRETS = Path("/etc/edge-classify")  # for root alone to read; systemd hands them over


class AddressError(EdgeError):
    """Where the live page is to listen, it cannot."""


class BrokerError(EdgeError):
    """The broker does not take this device."""


def check(configuration: Configuration) -> int:
    """Print whether the service would work; return the exit status.

    Raises: EdgeError for what is wrong with model, source or settings.
    """
    models = list(_checked_models(configuration))
    check_extras(configuration)
    check_source(configuration)
    faults = 0
    for line in (*unwritable(configuration), *_network_faults(configuration)):
        faults += 1
        complain(NAME, line)
    if faults:
        return 1
    for overlap in overlaps(configuration.zone):
        say(overlap)
    print("configuration: good", *models, *_exposure(), sep="\n")
    return 0


def _exposure() -> Iterator[str]:
    """Yield how exposed the installed unit is, with what install.sh and others have added to it."""
    try:
        command = ["systemd-analyze", "security", "--no-pager", UNIT]
        done = subprocess.run(command, capture_output=True, text=True, timeout=ANSWER_S)
    except (OSError, subprocess.TimeoutExpired):
        return
    if found := re.search(r"Overall exposure level for \S+: ([\d.]+)", done.stdout):
        yield f"{UNIT}: exposure {found[1]} of 10 (systemd-analyze security)"


def _checked_models(configuration: Configuration) -> Iterator[str]:
    """Validate each model, and yield a line about it. Raises: EdgeError."""
    labels = set[str]()
    for name in model_paths(configuration):
        how = model_choice(configuration, name)
        trial = try_model(
            how.path,
            runtime=how.runtime,
            num_threads=how.num_threads,
            options=model_options(configuration, name),
        )
        model_requirements(configuration, name).check_labels(trial.labels)
        labels |= set(trial.labels)
        golden = f"{trial.golden} golden vectors hold" if trial.golden else "no golden vectors"
        shown = ", ".join(trial.labels[:5]) + (", ..." if len(trial.labels) > 5 else "")
        invoke = f"{trial.runtime}; {trial.invoke_p50_ms:.1f} ms"
        yield f"{how.path}: good ({shown}; {golden}; {invoke})"
    check_snapshots(configuration, labels)


def check_source(configuration: Configuration) -> None:
    """Check that a folder of images can be read; report one that is missing but may come.

    Raises: SourceError where it will not do without a change.
    """
    address, path = configuration.address, Path(configuration.source)
    if address.is_live:
        from edge.sources.opening import check_camera

        check_camera(address, configuration.camera)
        return
    if address.kind == CLIP:
        from edge.sources.video.process import ensure_pyav

        ensure_pyav(address.name)
    above = (folder for folder in path.parents if not glob.has_magic(str(folder)))
    place = next(above) if glob.has_magic(str(path)) and not os.path.lexists(path) else path
    try:
        if stat.S_ISDIR(place.stat().st_mode):
            with os.scandir(place) as entries:
                next(entries, None)
    except OSError as error:
        if is_hidden(path):
            fault = f"cannot be read ({error.strerror}: the service cannot see home folders)"
            raise SourceError(
                path, fault, "move it below /srv or /var/lib/edge-classify"
            ) from error
        if not isinstance(error, FileNotFoundError):
            fault = f"cannot be read ({error.strerror})"
            raise SourceError(path, fault, f"change its permissions: ls -ld {place}") from error
        say(f"{path}: no such file or folder; the service will wait for it")


def check_extras(configuration: Configuration) -> None:
    """See whether page and broker have what they need here. Raises: ConfigurationError."""
    if configuration.web.listen:
        configuration.web.token()
        configuration.web.view_token()
        with needing("web"):
            import_module("edge.service.web.sink")
    if configuration.schedule.has_sun:
        with needing("sun"):
            import_module("astral")
    if configuration.notify.on:
        with needing("notify"):
            from edge.service.sinks.notify import services_of
        if configuration.notify.reads_file or not (SECRETS / CREDENTIAL).exists():
            services_of(configuration.notify)
        else:
            say("notify: not checked, only root can read its URLs")
    if any(action.gpio for action in configuration.action):
        needed()
    for program in {action.command[0] for action in configuration.action if action.command}:
        if not os.access(program, os.X_OK):
            fault = f"{program} cannot be run"
            raise ConfigurationError("action.command", fault, f"ls -l {program}")
    if configuration.mqtt.url:
        configuration.mqtt.password()
        with needing("mqtt"):
            import_module("edge.service.mqtt.sink")


def _network_faults(configuration: Configuration) -> Iterator[EdgeError]:
    """Yield what is wrong with the page's address and the broker; print what may pass."""
    if configuration.web.listen and (fault := _address_fault(configuration.web)):
        yield fault
    if configuration.mqtt.url and (refused := _broker_fault(configuration.mqtt)):
        yield refused


def _address_fault(settings: WebSettings) -> AddressError | None:
    """Why the page cannot listen; None where it can, or does so already."""
    from edge.service.web.server import try_listen

    host, port = settings.address
    try:
        try_listen(host, port)
    except OSError as error:
        if error.errno == errno.EADDRINUSE and _is_ours(host, port):
            say(f"web.listen {settings.listen}: a running edge-watch uses this port")
            return None
        remedy = (
            f"choose another address or port; to see what uses it: sudo ss -ltnp 'sport = :{port}'"
        )
        fault = f"is not available ({reason_of(error)})"
        return AddressError(f"web.listen {settings.listen}", fault, remedy)
    return None


def _is_ours(host: str, port: int) -> bool:
    """Whether it is an edge-watch that responds there."""
    here = {"*": "127.0.0.1", "0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)
    connection = HTTPConnection(here, port, timeout=ANSWER_S)
    try:
        connection.request("HEAD", "/healthz")
        return connection.getresponse().headers.get("Server") == "edge-watch"
    except (OSError, HTTPException):
        return False
    finally:
        connection.close()


def _broker_fault(settings: MqttSettings) -> BrokerError | None:
    """Why the broker will not take this device; None where it does, or may later."""
    from ssl import SSLCertVerificationError

    from edge.service.mqtt.login import RefusedError, try_login

    broker, password = settings.broker, settings.password()
    subject = f"mqtt.url {broker.host}:{broker.port}"
    try:
        try_login(settings, password, ANSWER_S)
    except RefusedError as error:
        if broker.user and not password and (SECRETS / "mqtt-password").exists():
            say(f"{subject}: not checked, only root can read its password; run: sudo edge-doctor")
            return None
        remedy = "check the user in mqtt.url, and the password (mqtt.password_file)"
        return BrokerError(subject, f"rejects the login ({reason_of(error)})", remedy)
    except SSLCertVerificationError as error:
        remedy = "set mqtt.ca_file to the CA certificate that signed the broker's certificate"
        return BrokerError(subject, f"cannot be trusted ({error.verify_message})", remedy)
    except OSError as error:
        say(f"{subject}: cannot be reached ({reason_of(error)}); the service will try again")
    return None
