"""A connection to a broker that comes back by itself, and events that wait for it.

The client library has a thread for the network, this module one for what is sent: the service's
loop only lays events down, whatever the broker does.
"""

from __future__ import annotations

import contextlib
import random
import socket
import ssl
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Collection
from typing import Any

import paho.mqtt.client as paho
from paho.mqtt.enums import CallbackAPIVersion

from edge.errors import ConfigurationError, reason_of
from edge.service.mqtt.messages import OFFLINE, ONLINE
from edge.service.mqtt.retained import Retained
from edge.service.mqtt.settings import Broker

KEEPALIVE_S = 30
CONNECT_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = (1, 3), (20, 40)  # between two attempts; drawn
TICK_S = 1.0  # between two looks at what has changed without a frame
LARGE_BYTES = 20_000
BLAME_S = 5.0  # a connection that is lost so soon after a large message is lost by it
PICTURE_PAUSE_S = 600.0  # then without images, else the same happens at every change
IN_FLIGHT = 20  # events that are on their way, unacknowledged
CLOSE_S = 0.8  # for what still waits
# For the receipt of the last message, which a broker sends after those of events. Both fit into the
# two seconds after which the service ends whatever hangs, so that other sinks are closed too.
FAREWELL_S = 0.7


class Client:
    """Publishes events at least once, in order, and other messages as long as there is a broker."""

    def __init__(
        self,
        broker: Broker,
        password: str,
        *,
        ca_file: str,
        availability: str,
        queue: int,
        retained: Retained,
        report: Callable[[str], None],
    ) -> None:
        """Begin to connect. Raises: ConfigurationError where the certificates cannot be read.

        Args:
            broker: where and as whom.
            password: "" for none.
            ca_file: certificates to trust; "" is the system's.
            availability: the topic of the last will.
            queue: the maximum number of events that wait.
            retained: remembers what the broker keeps.
            report: takes a line when the connection changes.
        """
        self.name = f"mqtt {broker.host}:{broker.port}"
        self.lost = 0  # events that could not wait any longer
        self.failures = 0  # connections that were lost, or not made
        self.trouble = ""  # why there is none; "" while there is one
        self._availability, self._queue, self._report = availability, queue, report
        self._retained = retained
        self._large_s, self._large_bytes = -BLAME_S, 0  # the newest large message
        self._no_pictures_until_s = 0.0
        self._waiting: deque[tuple[str, bytes]] = deque()
        self._flying: set[int] = set()  # the library's numbers of events on their way
        self._early: set[int] | None = None  # those that arrive while one is handed over
        self._lock = threading.Lock()
        self._wake = threading.Event()
        self._connected = self._closing = False
        self._work: deque[Callable[[], None]] = deque()
        # What others rely on once we are online, then what else a broker has not heard.
        self.before_online: Callable[[], None] = lambda: None
        self.greet: Callable[[], None] = lambda: None
        self.tick: Callable[[], None] = lambda: None  # every TICK_S while there is a broker
        self.heard: Callable[[str, bytes], None] = lambda topic, payload: None
        self._topics: tuple[str, ...] = ()
        self._paho = self._made(broker, password, ca_file)
        self._thread = threading.Thread(target=self._send, name="mqtt", daemon=True)

    def start(self, topics: tuple[str, ...]) -> None:
        """Connect, in the background, and listen to topics; `heard` takes what comes."""
        self._topics = topics
        self._thread.start()
        self._paho.loop_start()

    def event(self, topic: str, payload: bytes) -> None:
        """Have an event published at least once; the oldest that waits makes room."""
        with self._lock:
            if len(self._waiting) >= self._queue:
                self._waiting.popleft()
                self.lost += 1
            self._waiting.append((topic, payload))
        self._wake.set()

    def soon(self, work: Callable[[], None]) -> None:
        """Do something in the sending thread while there is a broker; otherwise it is let go."""
        if self._connected:
            self._work.append(work)
            self._wake.set()

    def tell(self, topic: str, payload: bytes) -> None:
        """Publish a retained message now, in one of the client's threads: it may be lost."""
        self._retained.add(topic)
        if len(payload) > LARGE_BYTES:
            self._large_s, self._large_bytes = time.monotonic(), len(payload)
        self._paho.publish(topic, payload, qos=0, retain=True)

    def take_back(self, topics: Collection[str]) -> None:
        """Have the broker forget what it keeps of ours but for some topics."""
        for topic in self._retained.but(topics):
            self._paho.publish(topic, b"", qos=1, retain=True)
            self._retained.discard(topic)

    @property
    def takes_pictures(self) -> bool:
        """Whether the last image went through."""
        return time.monotonic() >= self._no_pictures_until_s

    def say_online(self) -> None:
        """Publish that the service is online."""
        self._paho.publish(self._availability, ONLINE, qos=1, retain=True)

    def close(self) -> None:
        """Publish what is queued, for at most CLOSE_S, and disconnect."""
        until = time.monotonic() + CLOSE_S
        while self._connected and (self._waiting or self._flying) and time.monotonic() < until:
            self._wake.set()
            time.sleep(0.01)
        # From here on we are silent: the broker sends our "offline" back to us as well, and a
        # service that contradicts itself stays online forever.
        self._closing = True
        self._wake.set()
        self._thread.join(max(0.1, until - time.monotonic()))
        if self._connected:
            left = self._paho.publish(self._availability, OFFLINE, qos=1, retain=True)
            left.wait_for_publish(FAREWELL_S)
            self._leave(politely=left.is_published())
        with self._lock:
            self.lost += len(self._waiting) + len(self._flying)

    def _leave(self, *, politely: bool) -> None:
        """Disconnect; abruptly if "offline" may be lost, so that the last will publishes it."""
        connection: Any = self._paho.socket()
        if politely:
            self._paho.disconnect()
        elif connection is not None:
            with contextlib.suppress(OSError):  # it is gone already
                connection.shutdown(socket.SHUT_RDWR)
        self._paho.loop_stop()

    def _made(self, broker: Broker, password: str, ca_file: str) -> paho.Client:
        client = paho.Client(CallbackAPIVersion.VERSION2)
        client.connect_timeout = CONNECT_S
        client.will_set(self._availability, OFFLINE, qos=1, retain=True)
        if broker.user:
            client.username_pw_set(broker.user, password or None)
        if broker.tls:
            client.tls_set_context(trusting(ca_file))
        # A whole house comes back at once after a power cut: not all in the same second.
        client.reconnect_delay_set(random.randint(*FIRST_PAUSE_S), random.randint(*LONGEST_PAUSE_S))
        client.max_inflight_messages_set(IN_FLIGHT)
        client.on_socket_open = _at_once
        client.on_connect = self._on_connect
        client.on_connect_fail = self._on_connect_fail
        client.on_disconnect = self._on_disconnect
        client.on_publish = self._on_publish
        client.on_message = self._on_message
        client.connect_async(broker.host, broker.port, KEEPALIVE_S)
        return client

    # --- in the sending thread

    def _send(self) -> None:
        while not self._closing:
            woken = self._wake.wait(TICK_S)
            self._wake.clear()
            while self._work and self._connected and not self._closing:
                self._work.popleft()()
            if self._connected and not woken and not self._closing:
                self.tick()
            self._pump()

    def _pump(self) -> None:
        """Hand over events that wait, while few are on their way."""
        while self._connected:
            with self._lock:
                if not self._waiting or len(self._flying) >= IN_FLIGHT:
                    return
                topic, payload = self._waiting.popleft()
                self._early = set()
            # Without the lock, for which the library's thread may wait while it holds its own.
            number = self._paho.publish(topic, payload, qos=1).mid
            with self._lock:
                if number not in self._early:
                    self._flying.add(number)
                self._early = None

    # --- in the client library's thread

    def _on_connect(self, client: Any, data: Any, flags: Any, reason: Any, properties: Any) -> None:
        if reason.is_failure:
            self._failed(str(reason).lower())
            return
        for topic in self._topics:
            client.subscribe(topic, qos=1)
        self._retained.add(self._availability)
        self.before_online()
        self.say_online()
        self._connected = True
        self._changed("")
        self._work.clear()
        self.soon(self.greet)

    def _on_connect_fail(self, client: Any, data: Any) -> None:
        # It is called while the exception is handled, which it is not given.
        self._failed(_told(sys.exception()))

    def _on_disconnect(
        self, client: Any, data: Any, flags: Any, reason: Any, properties: Any
    ) -> None:
        was, self._connected = self._connected, False
        if not was or self._closing:
            return
        if time.monotonic() - self._large_s > BLAME_S:
            self._failed("the connection was lost")
            return
        self._large_s = -BLAME_S
        self._no_pictures_until_s = time.monotonic() + PICTURE_PAUSE_S
        kb, pause_min = round(self._large_bytes / 1000), round(PICTURE_PAUSE_S / 60)
        self._failed(
            f"the connection was lost after a message of {kb} kB, which may be over the broker's "
            f"limit; no images for {pause_min} minutes (lower mqtt.pictures_max_px)"
        )

    def _on_publish(self, client: Any, data: Any, mid: int, reason: Any, properties: Any) -> None:
        with self._lock:
            self._flying.discard(mid)
            if self._early is not None:
                self._early.add(mid)
        self._wake.set()

    def _on_message(self, client: Any, data: Any, message: Any) -> None:
        if not message.retain and not self._closing:  # a retained message is an old one
            self.heard(message.topic, message.payload)

    def _failed(self, why: str) -> None:
        self.failures += 1
        self._changed(why)

    def _changed(self, trouble: str) -> None:
        """Report a change once, not every attempt."""
        before, self.trouble = self.trouble, trouble and f"{self.name}: {trouble}"
        if self.trouble == before:
            return
        if trouble:
            self._report(f"{self.trouble}; retrying; events are queued")
        elif before:
            self._report(f"{self.name}: works again ({self.lost} events lost)")


def _at_once(client: Any, data: Any, connection: Any) -> None:
    """Have small messages sent as they come: an event waited 40 ms for the last one's receipt."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)


def trusting(ca_file: str) -> ssl.SSLContext:
    """Return what verifies a broker. Raises: ConfigurationError."""
    try:
        return ssl.create_default_context(cafile=ca_file or None)
    except (OSError, ValueError) as error:  # ssl's own is the former
        remedy = "use the CA certificate that signed the broker's certificate, in PEM format"
        raise ConfigurationError(f"mqtt.ca_file {ca_file}", _told(error), remedy) from error


def _told(error: BaseException | None) -> str:
    """Return the fault in plain words."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"its certificate is rejected ({error.verify_message})"
    return reason_of(error).lower()
