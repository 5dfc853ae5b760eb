from __future__ import annotations

import base64
import time

import argon2
import bcrypt
import pytest

from howdah.config.http import BasicAuth, ErrorRoutes, Respond
from howdah.errors import ConfigError
from tests.unit.web.building import Built, site, step

HASH = bcrypt.hashpw(b"secret", bcrypt.gensalt(4)).decode()
ARGON = argon2.PasswordHasher(time_cost=1, memory_cost=64).hash("secret")


def header(user: str, password: str, scheme: str = "Basic") -> dict[str, str]:
    return {"authorization": f"{scheme} {base64.b64encode(f'{user}:{password}'.encode()).decode()}"}


@pytest.fixture
def built() -> Built:
    accounts = (("ann", HASH), ("bob", ARGON))
    return Built(site(BasicAuth(accounts, realm='the "realm"'), Respond("for {http.auth.user.id}")))


@pytest.mark.parametrize("user", ["ann", "bob"])
def test_right_password_lets_in_and_names_the_user(built: Built, user: str) -> None:
    response = built.ask("/", headers=header(user, "secret", "basic"))
    assert (response.status, response.text) == (200, f"for {user}")


@pytest.mark.parametrize(
    "headers",
    [
        {},
        header("ann", "wrong"),
        header("bob", "wrong"),
        header("nobody", "secret"),
        header("", "secret"),
        header("ann", ""),
        header("ann", "secret\0x"),
        header("ann", "x" * 5000),
        header("bob", "x" * 5000),
        header("ann", "secret", "Bearer"),
        {"authorization": "Basic !!!"},
        {"authorization": "Basic"},
        {"authorization": "Basic YW5u"},
    ],
)
def test_everything_else_is_asked_for_it(built: Built, headers: dict[str, str]) -> None:
    response = built.ask("/", headers=headers)
    assert response.status == 401
    assert response.header("www-authenticate") == b'Basic realm="the realm", charset="UTF-8"'


def test_challenge_stays_on_a_page_of_ones_own() -> None:
    errors = (ErrorRoutes((step(Respond("go away")),)),)
    response = Built(site(BasicAuth((("ann", HASH),)), Respond("in"), errors=errors)).ask("/")
    assert (response.status, response.text) == (401, "go away")
    assert response.header("www-authenticate") is not None


def test_right_password_is_hashed_once() -> None:
    slow = bcrypt.hashpw(b"secret", bcrypt.gensalt(12)).decode()
    built = Built(site(BasicAuth((("ann", slow),)), Respond("in")))
    built.ask("/", headers=header("ann", "secret"))
    begin = time.process_time()
    for _ in range(20):
        assert built.ask("/", headers=header("ann", "secret")).status == 200
    assert time.process_time() - begin < 2.0  # one hash of this cost takes some 0.2 s
    assert built.ask("/", headers=header("ann", "secre")).status == 401


@pytest.mark.parametrize(
    ("accounts", "message"),
    [
        ((), "needs an account"),
        ((("ann", "secret"),), "bcrypt or argon2id"),
        ((("ann", "$2a$damaged"),), "is damaged"),
        ((("ann", "$argon2id$damaged"),), "is damaged"),
    ],
)
def test_wrong_accounts_are_an_error(accounts: tuple[tuple[str, str], ...], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        Built(site(BasicAuth(accounts)))
