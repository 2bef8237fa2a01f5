"""The live page behind nginx and Caddy, by the recipes that people use."""

from __future__ import annotations

import http.client
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from brokers import free_port, required
from live import HOTDOG, Watching, until, watching

from edge.service.web.settings import WebSettings

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin")
CADDY = shutil.which("caddy")
pytestmark = pytest.mark.skipif(
    not (NGINX and CADDY and shutil.which("openssl")) and not required("EDGE_WEB_REQUIRED"),
    reason="no proxies: sudo apt install nginx-light caddy openssl",
)
NAME = "cam.example.org"
# The recipes of the proxies' own documentation: a name, a sub-path, TLS.
NGINX_CONF = """
daemon off; pid nginx.pid; error_log nginx.log; worker_processes 1;
events {{}}
http {{
  access_log off;
  client_body_temp_path t1; proxy_temp_path t2; fastcgi_temp_path t3;
  uwsgi_temp_path t4; scgi_temp_path t5;
  server {{ listen 127.0.0.1:{root}; server_name _;
    location / {{ proxy_pass http://127.0.0.1:{page}; proxy_set_header Host $host; }} }}
  server {{ listen 127.0.0.1:{below};
    location /cam/ {{ proxy_pass http://127.0.0.1:{page}/; }} }}
  server {{ listen 127.0.0.1:{tls} ssl; ssl_certificate cert.pem; ssl_certificate_key key.pem;
    location / {{ proxy_pass http://127.0.0.1:{page}; }} }}
}}
"""
CADDYFILE = """
{{
 admin off
 auto_https off
}}
http://:{caddy} {{
 bind 127.0.0.1
 reverse_proxy 127.0.0.1:{page}
}}
"""


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
    (folder / "nginx.conf").write_text(NGINX_CONF.format(page=service.port, **made))
    (folder / "Caddyfile").write_text(CADDYFILE.format(page=service.port, **made))
    certificate = "req -x509 -newkey rsa:2048 -nodes -days 1 -keyout key.pem -out cert.pem"
    subprocess.run(
        ["openssl", *certificate.split(), "-subj", f"/CN={NAME}"],
        cwd=folder,
        check=True,
        capture_output=True,
    )
    words = ([NGINX, "-p", str(folder), "-c", "nginx.conf"], [CADDY, "run"])
    with running(folder, words[0]), running(folder, words[1]):
        for port in made.values():
            until(lambda port=port: answers(port))
        yield made


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
    connection.request("GET", WAYS[way] + path, headers={"Host": NAME})
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


def test_a_name_that_nobody_gave_us_is_rejected(ports: dict[str, int]) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", ports["root"], timeout=20)
    connection.request("GET", "/frame.jpg", headers={"Host": "evil.example"})
    assert connection.getresponse().status == 421
    connection.close()
