from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

import pytest

from howdah.admin.app import make_admin
from howdah.admin.auth import Gate
from howdah.config.http import Admin
from howdah.errors import ConfigError, HowdahError
from howdah.observe.metrics import Metrics
from howdah.testing.client import Client
from tests.unit.admin.control import CONFIG, FakeControl
from tests.unit.observe.snapshots import Statistics, Thread, Worker

HOST = (b"host", b"localhost:2019")


class Peer:
    """Asks the API as curl does."""

    def __init__(self, admin: Admin | None = None) -> None:
        self.control = FakeControl()
        self.app = make_admin(self.control, Metrics(self.control.runtime), admin)

    def ask(self, method: str, target: str, body: bytes = b"", *headers: tuple[bytes, bytes], host: bool = True) -> Any:
        sent = [*([HOST] if host else []), *headers]
        return asyncio.run(Client(self.app).request(method, target, headers=sent, body=body))


@pytest.fixture
def peer() -> Peer:
    return Peer()


JSON = (b"content-type", b"application/json")
CADDYFILE = (b"content-type", b"text/caddyfile; charset=utf-8")


def test_a_caddyfile_is_loaded(peer: Peer) -> None:
    assert peer.ask("POST", "/load", b"localhost", CADDYFILE).status == 200
    assert peer.control.calls == [("load", b"localhost", "text/caddyfile")]


def test_own_json_is_loaded(peer: Peer) -> None:
    assert peer.ask("POST", "/load", b'{"sites": []}', JSON).status == 200
    assert peer.control.config == {"sites": []}


@pytest.mark.parametrize(
    ("body", "header", "message"),
    [
        (b'{"apps": {"http": {}}}', JSON, "this is Caddy's own JSON, which Howdah does not read"),
        (b"{", JSON, "the JSON is wrong at line 1, column 2"),
        (b"[" * 100_000, JSON, "the body is no JSON"),
        (b"\xff", JSON, "the body is no JSON in UTF-8"),
        (b"[]", JSON, "a configuration in JSON is an object"),
        (b"localhost", (b"content-type", b"text/plain"), "must be text/caddyfile for a Caddyfile or application/json"),
        (b"localhost", (b"x", b"y"), "not empty"),
        (b"x" * (16 * 1024 * 1024 + 1), CADDYFILE, "more than 16777216 bytes"),
    ],
)
def test_what_is_no_configuration_is_refused(
    peer: Peer, body: bytes, header: tuple[bytes, bytes], message: str
) -> None:
    response = peer.ask("POST", "/load", body, header)
    assert response.status == 400
    assert message in json.loads(response.body)["error"]
    assert not peer.control.calls


def test_the_position_of_a_mistake_is_told(peer: Peer) -> None:
    peer.control.error = ConfigError("unknown directive foo", file="Caddyfile", line=3, column=2)
    response = peer.ask("POST", "/load", b"x", CADDYFILE)
    assert (response.status, json.loads(response.body)) == (400, {"error": "Caddyfile:3:2: unknown directive foo"})


def test_the_configuration_is_read_by_path(peer: Peer) -> None:
    for target in ("/config", "/config/"):
        assert json.loads(peer.ask("GET", target).body) == CONFIG
    assert json.loads(peer.ask("GET", "/config/runtime/workers/0/num").body) == 2
    assert json.loads(peer.ask("GET", "/config/sites").body) == []
    for target in ("/config/nothing", "/config/runtime/workers/7", "/config/runtime/num_threads/x", "/config/sites/-1"):
        response = peer.ask("GET", target)
        assert response.status == 404
        assert "there is nothing at /config/" in response.text
    assert peer.ask("DELETE", "/config/").status == 405


def test_the_round_trip_of_laravel_octane_restarts_workers(peer: Peer) -> None:
    answer = peer.ask("GET", "/config/apps/frankenphp")
    assert (answer.status, json.loads(answer.body)) == (200, CONFIG["runtime"])
    reload = peer.ask("PATCH", "/config/apps/frankenphp", answer.body, JSON, (b"cache-control", b"must-revalidate"))
    assert reload.status == 200
    assert peer.control.calls == [("restart", None)]


def test_a_patch_that_changes_nothing_does_nothing(peer: Peer) -> None:
    answer = peer.ask("GET", "/config/apps/frankenphp")
    assert peer.ask("PATCH", "/config/apps/frankenphp", answer.body, JSON).status == 200
    assert not peer.control.calls


def test_a_patch_replaces_one_value(peer: Peer) -> None:
    assert peer.ask("PATCH", "/config/apps/frankenphp/workers/0/num", b"3", JSON).status == 200
    assert peer.control.config["runtime"]["workers"] == [{"file": "/srv/worker.php", "num": 3}]
    assert CONFIG["runtime"]["workers"][0]["num"] == 2  # what others hold is not changed under them
    assert peer.ask("PATCH", "/config/runtime/nothing", b"3", JSON).status == 404
    assert peer.ask("PATCH", "/config/", b'{"sites": [1]}', JSON).status == 200
    assert peer.control.config == {"sites": [1]}


def test_stop_is_answered_first(peer: Peer) -> None:
    assert peer.ask("POST", "/stop").status == 200
    assert peer.control.calls == [("stop",)]
    assert peer.ask("GET", "/stop").status == 405


def test_restart_of_workers(peer: Peer) -> None:
    response = peer.ask("POST", "/frankenphp/workers/restart")
    assert (response.status, response.text) == (200, "workers restarted successfully\n")
    assert peer.ask("POST", "/frankenphp/workers/restart?worker=api").status == 200
    assert peer.control.calls == [("restart", None), ("restart", ["api"])]
    unknown = peer.ask("POST", "/frankenphp/workers/restart?worker=b")
    assert (unknown.status, json.loads(unknown.body)) == (400, {"error": "there is no worker 'b'; there are: api"})


def test_a_worker_that_does_not_boot_is_told(peer: Peer) -> None:
    peer.control.error = HowdahError("worker api did not boot: syntax error in line 1")
    response = peer.ask("POST", "/frankenphp/workers/restart")
    assert (response.status, json.loads(response.body)["error"]) == (
        500,
        "worker api did not boot: syntax error in line 1",
    )


@pytest.mark.parametrize("method", ["GET", "PUT", "DELETE"])
def test_other_methods_are_refused_as_json(peer: Peer, method: str) -> None:
    response = peer.ask(method, "/frankenphp/workers/restart")
    assert (response.status, json.loads(response.body)) == (405, {"error": "method not allowed"})
    assert response.header("content-type") == b"application/json"
    assert response.header("allow") == b"POST"
    assert not peer.control.calls


def test_unknown_endpoints_are_json_too(peer: Peer) -> None:
    response = peer.ask("GET", "/id/x")
    assert (response.status, json.loads(response.body)) == (404, {"error": "there is no such endpoint"})


def test_threads_have_the_shape_of_frankenphp(peer: Peer) -> None:
    peer.control.runtime.now = Statistics(
        reserved_threads=3,
        workers=(Worker(name="api", file="/srv/api.php"),),
        threads=(
            Thread(requests=5, memory_bytes=7, peak_memory_bytes=9, since_s=1.5, life_requests=2, lives=3),
            Thread(
                slot=1, role="worker", worker="api", is_waiting=False, is_busy=True, since_s=2.0, current="GET /x?a b"
            ),
            Thread(slot=2, role="inactive", state="inactive"),
            Thread(slot=3, state="reserved", thread_id=0),
            Thread(slot=4, role="worker", worker="api", state="booting", is_busy=True, is_waiting=False),
        ),
    )
    response = peer.ask("GET", "/frankenphp/threads")
    assert response.text.startswith('{\n    "ThreadDebugStates": [\n        {\n            "Index": 0,')
    answer = json.loads(response.body)
    assert answer["ReservedThreadCount"] == 3
    first, busy, inactive, booting = answer["ThreadDebugStates"]
    assert first == {
        "Index": 0,
        "Name": "Regular PHP Thread",
        "State": "ready",
        "IsWaiting": True,
        "IsBusy": False,
        "WaitingSinceMilliseconds": 1500,
        "CurrentURI": "",
        "CurrentMethod": "",
        "RequestStartedAt": 0,
        "RequestCount": 5,
        "MemoryUsage": 7,
        "PeakMemoryUsage": 9,
        "SinceMilliseconds": 1500,
        "ThreadId": 100,
        "Role": "regular",
        "Worker": "",
        "LifeRequestCount": 2,
        "Lives": 3,
    }
    assert (busy["Name"], busy["CurrentMethod"], busy["CurrentURI"]) == (
        "Worker PHP Thread - /srv/api.php",
        "GET",
        "/x?a b",
    )
    assert busy["RequestStartedAt"] > 1_600_000_000_000
    assert busy["WaitingSinceMilliseconds"] == 0
    assert inactive["Name"] == "Inactive PHP Thread"
    assert (booting["Index"], booting["CurrentMethod"], booting["RequestStartedAt"]) == (4, "", 0)


def test_metrics_page(peer: Peer) -> None:
    response = peer.ask("GET", "/metrics", b"", (b"accept", b"application/openmetrics-text;version=1.0.0"))
    assert response.header("content-type") == b"text/plain; version=0.0.4; charset=utf-8"
    assert b"frankenphp_total_threads 2.0\n" in response.body


def test_health_and_readiness(peer: Peer) -> None:
    assert (peer.ask("GET", "/healthz").status, peer.ask("GET", "/readyz").text) == (200, "ready\n")
    peer.control.reason = "worker api has not booted"
    response = peer.ask("GET", "/readyz")
    assert (response.status, response.text) == (503, "worker api has not booted\n")
    assert peer.ask("GET", "/healthz").status == 200
    peer.control.runtime.now = Statistics(state="stuck")
    assert (peer.ask("GET", "/healthz").status, peer.ask("GET", "/healthz").text) == (503, "PHP is stuck\n")


BUSY = Statistics(
    accepted=12,
    queue_waiting=1,
    queue_peak=5,
    rejected={"queue_full": 2, "body_too_large": 9},
    workers=(Worker(name="api", file="/srv/api.php", queue_waiting=2),),
    threads=(
        Thread(thread_id=41, requests=3, memory_bytes=2048),
        Thread(slot=1, thread_id=42, role="worker", worker="api", is_busy=True, since_s=0.5, current="POST /a\nb"),
    ),
)


def test_status_page_is_that_of_fpm(peer: Peer) -> None:
    peer.control.runtime.now = BUSY
    text = peer.ask("GET", "/status").text
    entries = dict(line.split(":", 1) for line in text.splitlines())
    assert entries["listen queue"] == "         3"
    values = {name: value.strip() for name, value in entries.items()}
    assert list(values) == [
        "pool",
        "process manager",
        "start time",
        "start since",
        "accepted conn",
        "listen queue",
        "max listen queue",
        "listen queue len",
        "idle processes",
        "active processes",
        "total processes",
        "max active processes",
        "max children reached",
        "slow requests",
        "memory peak",
    ]
    assert values["accepted conn"] == "12"
    assert values["max listen queue"] == "5"
    assert (values["idle processes"], values["active processes"], values["total processes"]) == ("1", "1", "2")
    assert values["max children reached"] == "2"
    assert values["process manager"] == "dynamic"


def test_full_status_page_has_the_threads_on_lines_of_their_own(peer: Peer) -> None:
    peer.control.runtime.now = BUSY
    _, first, second = peer.ask("GET", "/status?full").text.split("*" * 24)
    assert "pid:                  41\nstate:                Idle\n" in first
    assert "request URI:          /a\\nb\n" in second
    assert "script:               /srv/api.php\n" in second
    assert "request duration:     500000\n" in second


def test_status_page_as_json(peer: Peer) -> None:
    peer.control.runtime.now = replace(BUSY, max_threads=2)
    page = json.loads(peer.ask("GET", "/status?json").body)
    assert page["process manager"] == "static"
    assert isinstance(page["start time"], int)
    assert "processes" not in page
    processes = json.loads(peer.ask("GET", "/status?json&full").body)["processes"]
    assert processes[1]["request uri"] == "/a\nb"
    assert processes[0]["last request memory"] == 2048


def test_ping(peer: Peer) -> None:
    assert peer.ask("GET", "/ping").text == "pong"


# -- who may ask ------------------------------------------------------------------------------------


@pytest.mark.parametrize("host", [b"localhost:2019", b"127.0.0.1:2019", b"[::1]:2019", b"LOCALHOST:2019"])
def test_hosts_of_this_machine_are_allowed(peer: Peer, host: bytes) -> None:
    assert peer.ask("GET", "/ping", b"", (b"host", host), host=False).status == 200


@pytest.mark.parametrize(
    "hosts",
    [
        [],
        [b"evil.example:2019"],
        [b"evil.example"],
        [b"localhost"],
        [b"localhost:80"],
        [b"localhost:2019.evil.example"],
        [b"localhost:2019", b"evil.example"],
        [b"127.0.0.2:2019"],
        [b""],
    ],
)
def test_other_hosts_are_refused(peer: Peer, hosts: list[bytes]) -> None:
    """A name that an attacker lets point to 127.0.0.1 gets nowhere (DNS rebinding)."""
    response = peer.ask("POST", "/stop", b"", *[(b"host", host) for host in hosts], host=False)
    assert response.status == 403
    assert "host not allowed" in response.text
    assert not peer.control.calls


@pytest.mark.parametrize(
    "header",
    [
        (b"origin", b"http://evil.example"),
        (b"origin", b"null"),
        (b"origin", b""),
        (b"origin", b"http://localhost:2019.evil.example"),
        (b"origin", b"ftp://localhost:2019"),
        (b"sec-fetch-site", b"cross-site"),
        (b"sec-fetch-site", b"same-site"),
    ],
)
def test_other_origins_are_refused(peer: Peer, header: tuple[bytes, bytes]) -> None:
    assert peer.ask("POST", "/frankenphp/workers/restart", b"", header).status == 403
    assert peer.ask("OPTIONS", "/load", b"", header).status in {403, 405}
    assert not peer.control.calls


def test_own_pages_are_allowed(peer: Peer) -> None:
    origin = (b"origin", b"http://localhost:2019")
    response = peer.ask("GET", "/ping", b"", origin, (b"sec-fetch-site", b"same-origin"))
    assert response.status == 200
    assert response.header("access-control-allow-origin") == b"http://localhost:2019"
    asked = peer.ask("OPTIONS", "/load", b"", origin)
    assert asked.status == 204
    assert b"PATCH" in (asked.header("access-control-allow-methods") or b"")


def test_origins_can_be_listed_and_demanded() -> None:
    peer = Peer(Admin(origins=("https://panel.example",), enforce_origin=True))
    assert peer.ask("GET", "/ping").status == 403
    assert peer.ask("GET", "/ping", b"", (b"origin", b"https://panel.example")).status == 200
    assert peer.ask("GET", "/ping", b"", (b"origin", b"http://panel.example")).status == 403
    assert peer.ask("GET", "/ping", b"", (b"origin", b"https://other.example")).status == 403


def test_a_unix_socket_needs_no_host() -> None:
    peer = Peer(Admin(listen="unix//run/howdah.sock"))
    for host in (b"", b"localhost", b"127.0.0.1"):
        assert peer.ask("GET", "/ping", b"", (b"host", host), host=False).status == 200
    assert Gate(Admin(listen="unix//run/howdah.sock")).refusal([]) is None
    assert peer.ask("GET", "/ping", b"", (b"host", b"evil.example"), host=False).status == 403


@pytest.mark.parametrize(
    ("listen", "host"), [("127.1.2.3:5", b"127.1.2.3:5"), ("[::1]:80", b"localhost"), ("[::1]:5", b"[::1]:5")]
)
def test_the_host_may_be_the_address_that_is_listened_on(listen: str, host: bytes) -> None:
    assert Gate(Admin(listen=listen)).refusal([(b"host", host)]) is None
    assert Gate(Admin(listen=listen)).refusal([(b"host", b"evil.example")]) is not None


TOKEN = "0123456789abcdef"


@pytest.mark.parametrize("listen", [":2019", "0.0.0.0:2019", "192.0.2.1:2019", "[::]:2019", "box.example:2019"])
def test_public_addresses_need_a_token(listen: str) -> None:
    with pytest.raises(ConfigError, match=r"could be used from other machines: give it a token"):
        Peer(Admin(listen=listen))
    Peer(Admin(listen=listen, token=TOKEN))


@pytest.mark.parametrize("listen", ["localhost:2019", "127.0.0.1:1", "127.1.2.3:1", "[::1]:5", "unix//run/x"])
def test_private_addresses_need_none(listen: str) -> None:
    Peer(Admin(listen=listen))


@pytest.mark.parametrize("token", ["short", "with spaces in the token", "ümläute-in-the-token"])
def test_tokens_must_be_good(token: str) -> None:
    with pytest.raises(ConfigError, match="token of the admin API"):
        Peer(Admin(token=token))


def test_the_token_is_demanded() -> None:
    peer = Peer(Admin(listen=":2019", token=TOKEN))
    anywhere = (b"host", b"box.example:2019")
    for header in ((b"x", b"y"), (b"authorization", b"Bearer wrong"), (b"authorization", TOKEN.encode())):
        response = peer.ask("POST", "/stop", b"", anywhere, header, host=False)
        assert response.status == 401
        assert response.header("www-authenticate") == b"Bearer"
        assert TOKEN not in response.text
    assert not peer.control.calls
    assert (
        peer.ask("POST", "/stop", b"", anywhere, (b"authorization", b"Bearer " + TOKEN.encode()), host=False).status
        == 200
    )


def test_websockets_are_closed(peer: Peer) -> None:
    sent: list[Any] = []

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(peer.app({"type": "websocket", "path": "/", "headers": []}, None, send))  # type: ignore[arg-type]
    assert sent[0]["type"] == "websocket.close"
