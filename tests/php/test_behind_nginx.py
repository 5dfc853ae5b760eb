"""docs/howto/behind-nginx.md carried out: nginx with the configuration of the page in front of its Caddyfile."""

from __future__ import annotations

import datetime as dt
import re
import shutil
import signal
import socket
import ssl
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID

from apps.serving import configured
from tests.php.harness.ports import free_port
from tests.php.harness.server import REPOSITORY
from tests.php.harness.waiting import wait_until

NGINX = shutil.which("nginx", path="/usr/sbin:/usr/bin:/usr/local/sbin")

pytestmark = [
    pytest.mark.slow,
    pytest.mark.timeout(90),
    pytest.mark.skipif(NGINX is None, reason="nginx is not installed: apt-get install nginx-light"),
]

PAGE = (REPOSITORY / "docs" / "howto" / "behind-nginx.md").read_text(encoding="utf-8")
SHOW = """<?php
$names = ['REMOTE_ADDR', 'HTTPS', 'REQUEST_SCHEME', 'SERVER_PORT', 'SERVER_NAME', 'HTTP_HOST', 'REQUEST_URI', 'SERVER_PROTOCOL'];
$shown = array_intersect_key($_SERVER, array_flip($names));
$shown['body'] = strlen(file_get_contents('php://input'));
echo json_encode($shown);
"""


def block(language: str) -> str:
    found = re.search(rf"^```{language}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)
    assert found is not None
    return found[1]


def changed(text: str, changes: dict[str, str]) -> str:
    """Replace what a test must choose itself; everything else is the page's."""
    for old, new in changes.items():
        assert old in text, f"the page has changed: {old}"
        text = text.replace(old, new)
    return text


@dataclass
class Front:
    """nginx in front of Howdah, and both addresses."""

    url: str
    port: int
    direct: str


@pytest.fixture(scope="module")
def front(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    folder = tmp_path_factory.mktemp("nginx")
    (folder / "public").mkdir()
    (folder / "public" / "index.php").write_text(SHOW)
    (folder / "public" / "style.css").write_text("p {}\n")
    (folder / "public" / "events.php").write_text(
        "<?php header('Content-Type: text/event-stream'); echo \"data: 1\\n\\n\"; flush(); sleep(2);"
    )
    caddyfile = changed(
        block("caddyfile"),
        {
            "admin unix//run/howdah/admin.sock": "admin off",
            "http://:8000": "http://:{$SERVER_PORT}",
            "/srv/shop/public": str(folder / "public"),
        },
    )
    (folder / "Caddyfile").write_text(caddyfile)
    with configured(folder / "Caddyfile", folder / "howdah.log") as served:
        port = free_port()
        make_certificate(folder)
        site = changed(
            block("nginx"),
            {
                "server 127.0.0.1:8000;": f"server {served.url.removeprefix('http://')};",
                "listen 443 ssl http2;": f"listen 127.0.0.1:{port} ssl http2;",
                "/etc/ssl/shop.pem": str(folder / "shop.pem"),
                "/etc/ssl/shop.key": str(folder / "shop.key"),
            },
        )
        with running_nginx(folder, site, port):
            yield Front(f"https://127.0.0.1:{port}", port, served.url)


def make_certificate(folder: Path) -> None:
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "shop.example.com")])
    now = dt.datetime.now(dt.UTC)
    builder = x509.CertificateBuilder(name, name, key.public_key(), x509.random_serial_number())
    certificate = builder.not_valid_before(now).not_valid_after(now + dt.timedelta(days=1)).sign(key, hashes.SHA256())
    (folder / "shop.pem").write_bytes(certificate.public_bytes(Encoding.PEM))
    (folder / "shop.key").write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


class running_nginx:  # noqa: N801 - read as a verb where it is used
    """nginx with one site while the block runs."""

    def __init__(self, folder: Path, site: str, port: int) -> None:
        temporary = "".join(
            f"{kind}_temp_path {folder}/{kind};\n" for kind in ("client_body", "proxy", "fastcgi", "uwsgi", "scgi")
        )
        (folder / "nginx.conf").write_text(
            f"daemon off; master_process off; pid {folder}/pid; error_log {folder}/nginx.log;\n"
            f"events {{}}\nhttp {{\naccess_log off;\n{temporary}{site}\n}}\n"
        )
        self._folder = folder
        self._port = port

    def __enter__(self) -> None:
        assert NGINX is not None
        self._process = subprocess.Popen([NGINX, "-c", str(self._folder / "nginx.conf")], stderr=subprocess.PIPE)

        def answers() -> bool:
            assert self._process.poll() is None, (self._process.stderr or open("/dev/null", "rb")).read()  # noqa: PTH123, SIM115
            try:
                httpx.get(f"https://127.0.0.1:{self._port}/", verify=False, trust_env=False)
            except httpx.ConnectError:
                return False
            return True

        wait_until(answers, "nginx to answer")

    def __exit__(self, *_: object) -> None:
        self._process.send_signal(signal.SIGTERM)
        self._process.communicate(timeout=10)


@pytest.fixture
def visitor(front: Front) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=front.url, http2=True, verify=False, trust_env=False, timeout=20) as client:
        yield client


def test_scripts_see_the_visitor_and_not_nginx(visitor: httpx.Client, front: Front) -> None:
    answer = visitor.get("/path?a=1", headers={"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "http"})
    assert answer.http_version == "HTTP/2"
    assert answer.json() == {
        "REMOTE_ADDR": "127.0.0.1",
        "HTTPS": "on",
        "REQUEST_SCHEME": "https",
        "SERVER_PORT": str(front.port),
        "SERVER_NAME": "127.0.0.1",
        "HTTP_HOST": f"127.0.0.1:{front.port}",
        "REQUEST_URI": "/path?a=1",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "body": 0,
    }


def test_a_visitor_reaches_the_site_by_the_name_that_nginx_hands_on(visitor: httpx.Client) -> None:
    answer = visitor.get("/", headers={"Host": "shop.example.com"}).json()
    assert (answer["SERVER_NAME"], answer["HTTP_HOST"]) == ("shop.example.com", "shop.example.com")


def test_only_this_machine_reaches_howdah_without_nginx(front: Front) -> None:
    port = int(front.direct.rpartition(":")[2])
    with socket.socket() as other:  # another interface of this machine
        assert other.connect_ex(("127.0.0.2", port)) != 0


def test_what_the_trusted_proxy_says_counts(front: Front) -> None:
    """This test comes from 127.0.0.1, as nginx does."""
    headers = {"X-Forwarded-For": "203.0.113.9", "X-Forwarded-Proto": "https", "X-Forwarded-Port": "8443"}
    seen = httpx.get(front.direct + "/", headers=headers, trust_env=False).json()
    assert (seen["REMOTE_ADDR"], seen["HTTPS"], seen["SERVER_PORT"]) == ("203.0.113.9", "on", "8443")


def test_bodies_pass_unbuffered_up_to_the_limit(visitor: httpx.Client, front: Front) -> None:
    assert visitor.post("/", content=b"x" * 1_000_000).json()["body"] == 1_000_000
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    with (
        socket.create_connection(("127.0.0.1", front.port), timeout=10) as plain,
        context.wrap_socket(plain) as client,
    ):
        client.sendall(b"POST / HTTP/1.1\r\nHost: a\r\nContent-Length: 42000000\r\n\r\n")
        assert client.recv(100).startswith(b"HTTP/1.1 413 ")


def test_files_are_there(visitor: httpx.Client) -> None:
    answer = visitor.get("/style.css")
    assert (answer.text, answer.headers["content-type"]) == ("p {}\n", "text/css; charset=utf-8")


def test_events_are_not_held_up(visitor: httpx.Client) -> None:
    with visitor.stream("GET", "/events.php") as answer:
        assert next(answer.iter_text()) == "data: 1\n\n"
