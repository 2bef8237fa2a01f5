"""edge-watch: classify frames as they come; what the systemd unit runs."""

from __future__ import annotations

import argparse
import os
import signal
import sys
import threading
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from edge import board
from edge.commands import Parser, add_version, run
from edge.commands.keys import HELP, printed
from edge.commands.service import (
    NAME,
    Service,
    commands_of,
    forget,
    history_reader,
    kept_elsewhere,
    make_sinks,
    say,
    say_kept_elsewhere,
    state_of_service,
    systemd_folder,
    tell_folders,
)
from edge.commands.watch_check import check
from edge.cores import usable_cores
from edge.errors import ConfigurationError
from edge.service.configuration import KEYS, Configuration, Key, build, of_text, read
from edge.service.delivery import Delivery
from edge.service.health import Watched, vital_signs
from edge.service.intake.chain import camera_health, gated, rests
from edge.service.models import ModelStore
from edge.service.process.guard import MemoryGuard
from edge.service.process.pace import Pace
from edge.service.process.systemd import Notifier
from edge.service.sighting import Sink
from edge.service.sinks.history.export import FORMATS, span
from edge.service.sinks.history.export import printed as printed_history
from edge.service.sinks.history.reader import Query
from edge.service.watch import Unreadable, watch
from edge.service.zones.opening import load_models, make_zones

EXAMPLES = """\
Prints JSON lines: one for each state change ("event"), and for every Nth result. Each option is
also a key of the TOML file: --steady-frames 5 is frames = 5 in [steady].

Signals: SIGTERM and SIGINT exit (status 0), SIGHUP reloads the model, SIGUSR1 saves a snapshot of
the next frame. A model file that changes is validated, then loaded.

examples:
  edge-watch --source photos/                            classify each image once
  edge-watch --source incoming/ --follow                 then wait for new and changed images
  edge-watch --source photos/ --repeat --fps 1           simulate a camera, one frame per second
  edge-watch --every 0 --snapshots-folder snapshots      a camera; state changes and snapshots only
  edge-watch --web 8080                                  with a live page: http://127.0.0.1:8080/
  edge-watch --mqtt mqtt://pi@broker.local               with MQTT and Home Assistant
  edge-watch --config watch.toml --history 7d            print the state changes of seven days
  edge-watch --config watch.toml --print-config          print the configuration and exit
  edge-watch --config watch.toml --check                 verify it and exit; needs no camera

exit status: 0 done or stopped by a signal, 1 something failed, 2 wrong usage or configuration
"""
# Options that people type have shorter names than their keys.
FLAGS: dict[str, tuple[str, ...]] = {
    "model": ("-m", "--model"),
    "threshold": ("-t", "--threshold"),
    "camera.number": ("--camera",),
    "web.listen": ("--web",),
    "web.token_file": ("--web-token",),
    "mqtt.url": ("--mqtt",),
}
METAVARS = {"web.listen": "PORT", "web.token_file": "FILE", "mqtt.url": "URL"}
ENDING = (signal.SIGTERM, signal.SIGINT)
LAST_RESORT_S = 1.8  # two seconds are promised; closing a camera may take 1.5


def main(argv: Sequence[str] | None = None) -> int:
    """Run the service; the console entry."""
    args = vars(_parser().parse_args(argv))
    return run(lambda: _watch(args), NAME)


def _parser() -> argparse.ArgumentParser:
    parser = Parser(
        prog=NAME,
        usage="%(prog)s [options]",
        description="Classify a stream of frames by a TFLite image classifier.",
        epilog=EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
        argument_default=argparse.SUPPRESS,
    )
    parser.add_argument(
        "--config", type=Path, metavar="FILE", help="TOML file with these options as keys"
    )
    parser.add_argument(
        "--print-config", action="store_true", help="print the configuration as TOML and exit"
    )
    parser.add_argument(
        "--check",
        action="store_true",
        help="verify configuration, model, folders, port and broker, then exit; needs no camera",
    )
    parser.add_argument(
        "--forget",
        action="store_true",
        help="remove the retained messages of this device from the MQTT broker, and exit",
    )
    parser.add_argument(
        "--history",
        nargs="?",
        const="1d",
        metavar="TIME",
        help="print the history and exit: 12h, 7d, DAY or DAY..DAY (default: 1d)",
    )
    parser.add_argument(
        "--format", choices=FORMATS, help="format of --history (default: text; csv: events only)"
    )
    parser.add_argument(
        "-v", "--verbose", action="store_true", help="show the native runtime's output"
    )
    add_version(parser)
    groups: dict[str, Any] = {"": parser}
    for key in KEYS.values():
        if key.section not in groups:
            groups[key.section] = parser.add_argument_group(key.section)
        _add(groups[key.section], key)
    return parser


def _add(group: Any, key: Key) -> None:
    flags = FLAGS.get(key.dotted) or (f"--{key.dotted.replace('.', '-').replace('_', '-')}",)
    text = HELP[key.dotted].replace("%", "%%")
    if key.kind == "bool":
        group.add_argument(
            *flags, dest=key.dotted, action=argparse.BooleanOptionalAction, help=text
        )
        return
    shown = "" if key.default in (None, "", (), {}) else f" (default: {_shown(key.default)})"
    metavar = METAVARS.get(key.dotted) or flags[-1].rpartition("-")[2].upper()
    group.add_argument(*flags, dest=key.dotted, metavar=metavar, help=text + shown)


def _shown(value: Any) -> str:
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def _watch(args: dict[str, Any]) -> int:
    values = read(args["config"]) if "config" in args else {}
    given = {name: value for name, value in args.items() if name in KEYS}
    values |= {
        name: of_text(KEYS[name], value) if isinstance(value, str) else value
        for name, value in given.items()
    }
    configuration = build(values)
    if args.get("print_config"):
        print(printed(configuration), end="")
        return 0
    if "format" in args and "history" not in args:
        raise ConfigurationError("--format", "is only for --history", "add --history")
    if "history" in args:
        return _history(configuration, args["history"], args.get("format", "text"))
    if args.get("forget"):
        return _forget(configuration)
    if args.get("check"):
        return check(configuration)
    return _serve(configuration, verbose=args.get("verbose", False))


def _forget(configuration: Configuration) -> int:
    """Take back what the broker keeps; as root after the service was stopped, or in its place.

    Where none is configured any more: what each keeps that was.
    """
    settings = configuration.mqtt
    urls = [settings.url] if settings.url else list(kept_elsewhere(settings))
    if not urls:
        say("nothing to remove: no broker is configured (mqtt.url)")
        return 0
    for url in urls:
        of = replace(settings, url=url)
        say(f"{forget(of)} retained messages were removed from {of.broker.host}")
    return 1 if say_kept_elsewhere(settings) else 0


def _history(configuration: Configuration, time_: str, form: str) -> int:
    """Print the history of a time, also while the service runs. Raises: HistoryError."""
    try:
        from_s, to_s = span(time_, time.time())
    except (ValueError, OverflowError) as error:
        fault = f"must be 12h, 7d, DAY or DAY..DAY. Received: {time_!r}"
        raise ConfigurationError("--history", fault, "for example --history 2026-11-30") from error
    reader = history_reader(configuration, state_of_service())
    reader.check()
    for part in printed_history(
        reader, Query(from_s, to_s), form, lambda event: str(reader.image(event) or "") or None
    ):
        sys.stdout.write(part)
    return 0


def _serve(configuration: Configuration, *, verbose: bool) -> int:
    unreadable = Unreadable(say)
    with ExitStack() as stack:
        stack.enter_context(_ended_by_signals())
        # Until they are caught these end the process; the model is loaded now in any case.
        signal.signal(signal.SIGHUP, signal.SIG_IGN)
        asked = Asked()
        signal.signal(signal.SIGUSR1, asked.ask)
        notifier = stack.enter_context(closing(Notifier()))
        stack.callback(notifier.stopping)
        notifier.allow_for(1 / configuration.pace.fps if configuration.pace.fps else 0.0)
        models, state = list[ModelStore](), systemd_folder("STATE_DIRECTORY")
        for store in load_models(configuration, state, say, verbose=verbose):
            models.append(stack.enter_context(closing(store)))
        signal.signal(signal.SIGHUP, lambda *_: list(map(ModelStore.ask, models)))
        tell_folders(configuration)
        if state:
            say_kept_elsewhere(configuration.mqtt)
        control, sinks = commands_of(configuration, models, asked.ask), list[Sink]()
        pace = Pace(
            configuration.pace,
            board.temperature,
            say,
            sleep=control.sleep,
            hurry=lambda: control.wants_now,
        )
        rest = rests(configuration, control)
        view = camera_health(configuration, say)
        source = Watched(gated(configuration, control, rest, view, say))
        zones = make_zones(configuration, models, control)
        vitals = vital_signs(source, pace, zones, sinks, unreadable, rest, view=view)
        if view:
            notifier.besides = lambda: view.problem.reason if view.problem else ""
        service = Service(vitals, zones, control)
        for sink in make_sinks(configuration, service):
            sinks.append(stack.enter_context(closing(Delivery(sink, say))))
        stack.enter_context(closing(source))
        guard = MemoryGuard(configuration.max_memory_mb)
        helper = None
        if len(zones) > 1 and usable_cores() > 1:
            helper = stack.enter_context(ThreadPoolExecutor(1, "zones"))
        watch(
            source,
            zones,
            sinks,
            notifier,
            pace,
            control=control,
            guard=guard,
            asked=asked,
            unreadable=unreadable,
            helper=helper,
        )
    return 1 if unreadable.count or any(sink.failures for sink in sinks) else 0


@contextmanager
def _ended_by_signals() -> Iterator[None]:
    """Let SIGTERM and SIGINT end the loop wherever it is; a second one cuts no closing short."""

    def end(*_: object) -> None:
        for number in ENDING:
            # Not SIG_IGN: Python shows a traceback where one of them has come at the same time.
            signal.signal(number, lambda *_: None)
        raise SystemExit(0)

    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    signal.set_wakeup_fd(writing, warn_on_full_buffer=False)
    threading.Thread(target=_last_resort, args=(reading,), daemon=True).start()
    for number in ENDING:
        signal.signal(number, end)
    try:
        yield
    except SystemExit:  # all is closed; what a library does when the interpreter ends may hang
        os._exit(0)


def _last_resort(signals: int) -> None:
    """End the process LAST_RESORT_S after the signal, whatever hangs.

    An invoke, a full pipe or a camera may never come back; whatever is written, is written whole.
    """
    while os.read(signals, 1)[0] not in ENDING:
        pass
    time.sleep(LAST_RESORT_S)
    os._exit(0)


class Asked:
    """Whether someone wants the next frame's image: a signal, or the live page."""

    def __init__(self) -> None:
        self._is = False

    def ask(self, *_: object) -> None:
        """Request it, from a signal handler or any thread."""
        self._is = True

    def __call__(self) -> bool:
        """Return whether it was requested, once for all requests."""
        was, self._is = self._is, False
        return was
