"""Home Assistant as its owner has it, for home_assistant.py: its REST and websocket API."""

from __future__ import annotations

import asyncio
import http.client
import json
import subprocess
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

from live import until
from tornado.websocket import websocket_connect

PORT = 8123
CLIENT = f"http://127.0.0.1:{PORT}/"
STARTS_S = 300.0
NO_STATE = ("", "unknown", "unavailable")
COMMANDS = ("switch", "button", "select", "number")
CONFIGURATION = """
logger:
  default: warning
api:
config:
counter:
  fired:
automation:
  - alias: A hot dog
    mode: queued
    max: 100
    triggers:
      - trigger: state
        entity_id: sensor.shed_label
        to: hotdog
    actions:
      - action: counter.increment
        target:
          entity_id: counter.fired
"""

failed: list[str] = []


def check(what: str, holds: object) -> None:
    """Print whether something holds."""
    print(f"{'ok  ' if holds else 'FAIL'}  {what}", flush=True)
    if not holds:
        failed.append(what)


def wait_for(what: str, holds: Callable[[], Any], timeout_s: float = 60.0) -> Any:
    """Print whether something comes to hold in time; return what it was."""
    try:
        found = until(holds, timeout_s)
    except AssertionError:
        found = None
    check(what, found)
    return found


class House:
    """Home Assistant, as its REST API has it."""

    def __init__(self, root: Path, work: Path) -> None:
        (work / "config" / "configuration.yaml").write_text(CONFIGURATION)
        command = ["chroot", root, "env", "-i", "PATH=/usr/bin:/bin", "HOME=/tmp", "LANG=C.UTF-8"]
        command += ["/opt/hass/bin/hass", "--skip-pip", "--config", "/config"]
        self._token, self._driven = "", set[str]()
        with (work / "hass.log").open("w") as log:
            self.process = subprocess.Popen(list(map(str, command)), stdout=log, stderr=log)
        until(self._answers, STARTS_S)
        self._sign_up()
        self.version = self.get("/api/config")["version"]

    def _answers(self) -> bool:
        with suppress(OSError):
            return self._ask("GET", "/api/onboarding")[0] == 200
        assert self.process.poll() is None, "Home Assistant has ended"
        return False

    def _ask(self, method: str, path: str, body: Any = None, form: bool = False) -> tuple[int, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", PORT, timeout=60)
        headers = {"Authorization": f"Bearer {self._token}"} if self._token else {}
        kind = "application/x-www-form-urlencoded" if form else "application/json"
        content = urlencode(body) if form else json.dumps(body) if body is not None else None
        connection.request(method, path, content, headers | {"Content-Type": kind})
        answer = connection.getresponse()
        text = answer.read()
        connection.close()
        try:
            return answer.status, json.loads(text) if text else None
        except ValueError:
            return answer.status, text

    def _sign_up(self) -> None:
        """Be the first user, as somebody who has just installed it."""
        user = {"client_id": CLIENT, "name": "a", "username": "a", "password": "a-word-for-tests"}
        _, told = self._ask("POST", "/api/onboarding/users", user | {"language": "en"})
        asked = {"client_id": CLIENT, "grant_type": "authorization_code", "code": told["auth_code"]}
        self._signed(asked)

    def _signed(self, asked: dict[str, str]) -> None:
        self._token = ""
        _, told = self._ask("POST", "/auth/token", asked, form=True)
        self._token, self._refresh = told["access_token"], told.get("refresh_token", "")

    def ask(self, kind: str) -> list[dict[str, Any]]:
        """The result of a websocket command, such as config/device_registry/list."""

        async def talk() -> list[dict[str, Any]]:
            connection = await websocket_connect(f"ws://127.0.0.1:{PORT}/api/websocket")
            for message in (
                {"type": "auth", "access_token": self._token},
                {"id": 1, "type": kind},
            ):
                await connection.read_message()  # that it asks for the token, that it took it
                await connection.write_message(json.dumps(message))
            told = json.loads(await connection.read_message() or "{}")
            connection.close()
            assert told.get("success"), (kind, told)
            result: list[dict[str, Any]] = told["result"]
            return result

        return asyncio.run(talk())

    def get(self, path: str) -> Any:
        """Ask for a document; None where there is none. The token is good for half an hour."""
        status, told = self._ask("GET", path)
        assert status != 401, "the token has expired"
        return told if status == 200 else None

    def do(self, service: str, **data: Any) -> None:
        """Call a service of an entity, such as switch.turn_on."""
        self._driven.add(data["entity_id"])
        status, told = self._ask("POST", f"/api/services/{service.replace('.', '/')}", data)
        assert status == 200, (service, status, told)

    def add_mqtt(self, port: int) -> None:
        """Add the integration, as its dialog does."""
        _, flow = self._ask("POST", "/api/config/config_entries/flow", {"handler": "mqtt"})
        path = f"/api/config/config_entries/flow/{flow['flow_id']}"
        status, told = self._ask("POST", path, {"broker": "127.0.0.1", "port": port})
        assert status == 200 and told["type"] == "create_entry", told

    def entity(self, name: str) -> dict[str, Any] | None:
        """An entity's state and attributes; None where there is none."""
        told: dict[str, Any] | None = self.get(f"/api/states/{name}")
        return told

    def state(self, name: str) -> str:
        """An entity's state; "" where there is no such entity."""
        return str((self.entity(name) or {"state": ""})["state"])

    def attributes(self, name: str) -> dict[str, Any]:
        """An entity's attributes; none where there is no such entity."""
        found: dict[str, Any] = (self.entity(name) or {"attributes": {}})["attributes"]
        return found

    def ours(self) -> dict[str, dict[str, Any]]:
        """The entities by MQTT as they are registered, by name."""
        found = self.ask("config/entity_registry/list")
        return {each["entity_id"]: each for each in found if each["platform"] == "mqtt"}

    def cards(self) -> dict[str, dict[str, Any]]:
        """The devices that have these entities, by name."""
        have = {each["device_id"] for each in self.ours().values()}
        found = self.ask("config/device_registry/list")
        return {each["name"]: each for each in found if each["id"] in have}

    def check_all_are(self, announced: set[str], known: set[str]) -> None:
        """Check that each entity is there and has a state, and that each command was given by one.

        Args: what discovery announces, as unique ids; the names of the entities that must be there.
        """
        wait_for(
            f"the entities are the {len(announced)} that are announced",
            lambda: {each["unique_id"] for each in self.ours().values()} == announced,
        )
        ours = set(self.ours())
        check(f"and go by these names {sorted(ours ^ known) or ''}", ours == known)
        commands = {name for name in ours if name.partition(".")[0] in COMMANDS}
        left = sorted(commands - self._driven)
        check(f"each of {len(commands)} that take commands was driven {left or ''}", not left)
        # No label is waited for, so that a select has none.
        blank = [name for name in ours if self.state(name) in NO_STATE and "select" not in name]
        check(f"and each shows a state {sorted(blank) or ''}", not blank)
        self._driven.clear()

    @property
    def fired(self) -> int:
        """How often the automation has fired."""
        return int(self.state("counter.fired"))
