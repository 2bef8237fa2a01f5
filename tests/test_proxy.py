"""The live page behind nginx and Caddy, by the recipes that people use."""

from __future__ import annotations

import http.client
import json
import re
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import free_port, required
from conftest import ROOT, TEST_DATA
from live import HOTDOG, Watching, until, watching

from edge.service.web.settings import WebSettings

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
CADDY = shutil.which("caddy")
CHROMIUM = shutil.which("chromium")
pytestmark = pytest.mark.skipif(
    not (NGINX and CADDY and shutil.which("openssl")) and not required("EDGE_WEB_REQUIRED"),
    reason="no proxies: sudo apt install nginx-light caddy openssl",
)
NAME = "cam.example.org"
DOCS = (ROOT / "docs" / "live-page.md").read_text()
GIVEN = TEST_DATA / "faults" / "service"  # recipes as people have them, each to be taken as it is
# What the documentation shows, and what the proxies' own shows: TLS without a Host header.
NGINX_CONF = """
daemon off; pid nginx.pid; error_log nginx.log; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
  uwsgi_temp_path t4; scgi_temp_path t5;
  server {{ listen 127.0.0.1:{root}; server_name _; {at_root} }}
  server {{ listen 127.0.0.1:{below}; {at_cam} }}
  server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
    location / {{ proxy_pass http://127.0.0.1:{page}; }} }}
}}
"""
CADDYFILE = """
{{
 admin off
 auto_https off
}}
{recipe}
"""


def recipes(kind: str, page: int) -> str:
    """The documentation's lines for a proxy, with the page's port here."""
    found = re.search(rf"```{kind}\n(.*?)```", DOCS, re.DOTALL)
    assert found and "127.0.0.1:8080" in found[1]
    return found[1].replace("127.0.0.1:8080", f"127.0.0.1:{page}")


@pytest.fixture(scope="module")
def service(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Watching]:
    folder = tmp_path_factory.mktemp("page")
    with watching(folder, HOTDOG, "--fps", 10, "--web-hosts", NAME) as running:
        running.after(2)
        yield running


@pytest.fixture(scope="module")
def ports(service: Watching, tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, int]]:
    """The proxies' ports, once they answer."""
    folder = tmp_path_factory.mktemp("proxies")
    made = {name: free_port() for name in ("root", "below", "tls", "caddy")}
    at_root, at_cam = recipes("nginx", service.port).splitlines()
    told = {"page": service.port, "at_root": at_root, "at_cam": at_cam}
    (folder / "nginx.conf").write_text(NGINX_CONF.format(**told, **made))
    # A certificate for the name comes from the internet otherwise.
    address = f"http://{NAME}:{made['caddy']} {{\n bind 127.0.0.1"
    recipe = recipes("caddy", service.port).replace(f"{NAME} {{", address)
    (folder / "Caddyfile").write_text(CADDYFILE.format(recipe=recipe))
    make_certificate(folder)
    with proxies(folder, made.values()):
        yield made


def make_certificate(folder: Path) -> None:
    words = "req -x509 -newkey rsa:2048 -nodes -days 1 -keyout key.pem -out cert.pem"
    command = ["openssl", *words.split(), "-subj", f"/CN={NAME}"]
    subprocess.run(command, cwd=folder, check=True, capture_output=True)


@contextmanager
def proxies(folder: Path, ports: Iterable[int]) -> Iterator[None]:
    """Both with their files in a folder, once they are there."""
    words = ([NGINX, "-p", str(folder), "-c", "nginx.conf"], [CADDY, "run"])
    with running(folder, words[0]), running(folder, words[1]):
        for port in ports:
            until(lambda port=port: answers(port))
        yield


@contextmanager
def running(folder: Path, words: list[str | None]) -> Iterator[None]:
    with (folder / "output").open("a") as out:
        process = subprocess.Popen(list(map(str, words)), cwd=folder, stdout=out, stderr=out)
    try:
        yield
    finally:
        process.terminate()
        process.wait(20)


def answers(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


WAYS = {"root": "/", "below": "/cam/", "tls": "/", "caddy": "/"}
# An image that is there and has pixels.
SHOWN = "of => (document.querySelector(of) || {}).naturalWidth > 0"


def get(
    ports: dict[str, int], way: str, path: str, length: int = 20_000
) -> tuple[http.client.HTTPResponse, bytes]:
    """Ask as a browser does that was given the proxy's name."""
    port = ports[way]
    if way == "tls":
        trusting = ssl.create_default_context()
        trusting.check_hostname, trusting.verify_mode = False, ssl.CERT_NONE
        connection: http.client.HTTPConnection = http.client.HTTPSConnection(
            "127.0.0.1", port, timeout=20, context=trusting
        )
    else:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=20)
    connection.request("GET", WAYS.get(way, "/") + path, headers={"Host": NAME})
    answer = connection.getresponse()
    content = answer.read(length) if path == "stream.mjpg" else answer.read()
    connection.close()
    return answer, content


@pytest.mark.parametrize("way", list(WAYS))
def test_page_and_pictures_come_through(ports: dict[str, int], way: str) -> None:
    for path in ("", "page.js", "page.css", "latest.json", "frame.jpg", "metrics", "frame.json"):
        answer, content = get(ports, way, path)
        assert answer.status == 200 and content, (way, path, content[:200])
    assert b'"/' not in get(ports, way, "")[1]  # nothing that leaves a sub-path
    (event,) = until(lambda: json.loads(get(ports, way, "events.json")[1])["events"])
    answer, content = get(ports, way, event["image"])
    assert answer.status == 200 and content[:2] == b"\xff\xd8"


@pytest.mark.parametrize("way", list(WAYS))
def test_the_stream_is_not_collected(ports: dict[str, int], way: str) -> None:
    answer, content = get(ports, way, "stream.mjpg")
    assert answer.status == 200 and b"\xff\xd8" in content


@pytest.mark.parametrize("way", list(WAYS))
def test_a_stream_through_a_proxy_keeps_its_rate(
    ports: dict[str, int], service: Watching, way: str
) -> None:
    """The proxy's sockets would hold seconds of it, and the viewer see the past."""
    length, frames, began = len(service.get("/frame.jpg")[1]), 5, time.monotonic()
    _, content = get(ports, way, "stream.mjpg", frames * length)
    least_s = (frames - 1) * length * 8 / 1000 / WebSettings().proxy_kbit_s
    assert len(content) == frames * length
    assert 0.9 * least_s < time.monotonic() - began


@pytest.mark.skipif(not GIVEN.is_dir(), reason=f"no recipes: {GIVEN} is absent")
def test_recipes_as_people_have_them(service: Watching, tmp_path: Path) -> None:
    """But for the ports, and a daemon that would outlive the test."""
    made = {str(port): str(free_port()) for port in range(18101, 18106)}
    made["18100"] = str(service.port)
    for name in ("nginx.conf", "Caddyfile"):
        text = re.sub(r"\b181\d\d\b", lambda port: made[port[0]], (GIVEN / name).read_text())
        (tmp_path / name).write_text(text.replace("daemon on", "daemon off"))
    (tmp_path / "run").mkdir()
    make_certificate(tmp_path / "run")
    named = dict(zip(("root", "below", "tls", "unbuffered", "caddy"), made.values(), strict=False))
    found = {way: int(port) for way, port in named.items()}
    with proxies(tmp_path, found.values()):
        for way in found:
            for path in ("", "page.js", "latest.json", "frame.jpg", "stream.mjpg"):
                answer, content = get(found, way, path)
                assert answer.status == 200 and content, (way, path, content[:200])


@pytest.mark.skipif(
    not CHROMIUM and not required("EDGE_WEB_REQUIRED"), reason="no Chromium: apt install chromium"
)
def test_the_page_works_in_a_browser(ports: dict[str, int]) -> None:
    """By the name of the proxy: frame, scores, and the image of the change."""
    playwright = pytest.importorskip("playwright.sync_api", reason="pip install playwright")
    words = ["--no-sandbox", f"--host-resolver-rules=MAP {NAME} 127.0.0.1"]
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=words)
        for way, path in WAYS.items():
            context = browser.new_context(ignore_https_errors=True)
            page, failed = context.new_page(), list[str]()
            page.on("response", lambda r, failed=failed: r.ok or failed.append(r.url))
            page.goto(f"http{'s' * (way == 'tls')}://{NAME}:{ports[way]}{path}")
            for selector in ("#live", "#input", "#events img"):
                page.wait_for_function(SHOWN, arg=selector)
            page.get_by_text("hotdog", exact=True).first.wait_for()
            assert failed == [], way
            context.close()
        browser.close()


def test_a_name_that_nobody_gave_us_is_rejected(ports: dict[str, int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ports["root"], timeout=20)
    connection.request("GET", "/frame.jpg", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 421
    connection.close()
