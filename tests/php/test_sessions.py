"""Sessions and HTTP authentication."""

from __future__ import annotations

import base64
import json

import pytest

from tests.php.harness.parallel import fetch_parallel, run_parallel
from tests.php.harness.raw import get
from tests.php.harness.server import Server

_DIGEST = (
    'Digest username="Mufasa", realm="http-auth@example.org", uri="/dir/index.html", algorithm=MD5, '
    'nonce="7ypf/xlj9XXwfDPEoM4URrv/xwf94BcCAzFZH4GiTo0v", nc=00000001, '
    'cnonce="f2/wE4q74E6zIJEtWaHKaf5wv/H5QzzpXusqGemxURZJ", qop=auth, '
    'response="8ca523f5e9506fed4657c9700eebdbec", opaque="FQhe/qaU925kfnzjCev0ciny7QMkPqMAFRtzCUYo5tdS"'
)


def test_a_session_counts_the_visits_of_its_visitor(served: Server) -> None:
    with served.client() as client:
        answers = [client.get("/session.php?who=ann").text for _ in range(3)]
    assert answers == [f"visit {n} of ann known as ann" for n in (1, 2, 3)]


def test_sessions_of_100_visitors_are_kept_apart(served: Server) -> None:
    def visit_three_times(i: int) -> list[str]:
        with served.client() as client:
            return [client.get(f"/session.php?who=v{i}").text for _ in range(3)]

    for i, answers in enumerate(run_parallel(visit_three_times, threads=20)):
        assert answers == [f"visit {n} of v{i} known as v{i}" for n in (1, 2, 3)]


def test_requests_of_one_session_wait_for_each_other(served: Server) -> None:
    with served.client() as client:
        client.get("/session.php?who=one")
        cookie = {"cookie": f"PHPSESSID={client.cookies['PHPSESSID']}"}
    answers = fetch_parallel(served.url, lambda i: {"url": "/session.php?who=one", "headers": cookie}, 20)
    assert sorted(int(answer.text.split()[1]) for answer in answers) == list(range(2, 22))


def test_no_session_is_visible_before_session_start(served: Server) -> None:
    with served.client() as client:
        for _ in range(8):
            client.get("/session.php?who=secret")
    for answer in fetch_parallel(served.url, lambda i: {"url": "/session_peek.php"}, 20):
        seen = answer.json()
        assert seen["before"] == {"set": False, "id": "", "status": 1}
        assert seen["session"] == []


@pytest.mark.parametrize(
    ("user", "password"), [("kevin", "password"), ("a", ""), ("", "b"), ("with space", "colon:in:it"), ("é", "ü")]
)
def test_basic_authentication_is_parsed(served: Server, user: str, password: str) -> None:
    value = "Basic " + base64.b64encode(f"{user}:{password}".encode()).decode()
    seen = served.json("/authentication.php", headers={"authorization": value})
    assert seen["PHP_AUTH_USER"] == user
    assert seen.get("PHP_AUTH_PW", "") == password  # PHP sets no empty one
    assert seen["HTTP_AUTHORIZATION"] == value


def test_basic_credentials_belong_to_their_request(served: Server) -> None:
    def request(i: int) -> dict[str, object]:
        return {"url": "/authentication.php", **({"auth": (f"user {i}", f"pass {i}")} if i % 2 else {})}

    for i, answer in enumerate(fetch_parallel(served.url, request)):
        seen = answer.json()
        if i % 2:
            assert (seen["PHP_AUTH_USER"], seen["PHP_AUTH_PW"], seen["REMOTE_USER"]) == (
                f"user {i}",
                f"pass {i}",
                f"user {i}",
            )
        else:
            assert "PHP_AUTH_USER" not in seen
            assert "REMOTE_USER" not in seen


def test_digest_authentication_is_handed_over(served: Server) -> None:
    seen = served.json("/authentication.php", headers={"authorization": _DIGEST})
    assert seen["PHP_AUTH_DIGEST"] == _DIGEST.removeprefix("Digest ")
    assert "PHP_AUTH_USER" not in seen


@pytest.mark.parametrize(
    "value", ["Basic", "Basic ", "Basic !!!!", "Basic bm9jb2xvbg==", "Bearer token", "Digest", "x" * 5000]
)
def test_a_broken_authorization_header_does_no_harm(served: Server, value: str) -> None:
    answer = get(served.port, "/authentication.php", headers=(f"Authorization: {value}",))
    assert json.loads(answer.body)["HTTP_AUTHORIZATION"] == value.strip()
