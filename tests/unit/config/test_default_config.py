"""The configuration for those who have none, and the environment variables that fill it in."""

from __future__ import annotations

from pathlib import Path

import pytest

from howdah.config import adapt, http
from howdah.config.adapt import DEFAULT_NAME, load_default
from howdah.config.format import format_text
from howdah.config.http import HttpSite, ServerModel, SiteAddress
from howdah.errors import ConfigError

TEXT = Path(adapt.__file__).with_name(DEFAULT_NAME).read_text()


def only_site(model: ServerModel) -> HttpSite:
    (site,) = model.sites
    return site


def actions(site: HttpSite) -> list[type]:
    return [type(step.action) for step in site.steps]


def test_without_any_variable_it_serves_public_on_localhost() -> None:
    model = load_default({})
    site = only_site(model)
    assert site.addresses == (SiteAddress(host="localhost"),)
    assert actions(site) == [http.Root, http.Encode, http.Php]
    assert site.steps[0].action == http.Root("public/")
    assert model.servers.skip_install_trust
    assert model.warnings == ()


def test_server_name_may_be_several_addresses() -> None:
    site = only_site(load_default({"SERVER_NAME": "a.test, http://b.test:8080"}))
    assert site.addresses == (SiteAddress(host="a.test"), SiteAddress("http", "b.test", 8080))


def test_server_root_is_the_root() -> None:
    assert only_site(load_default({"SERVER_ROOT": "/srv/www"})).steps[0].action == http.Root("/srv/www")


def test_frankenphp_config_stands_in_its_block() -> None:
    model = load_default({"FRANKENPHP_CONFIG": "worker /srv/worker.php 2\nmax_requests 500"})
    assert [worker.file for worker in model.runtime.workers] == ["/srv/worker.php"]
    assert model.runtime.max_requests == 500


def test_global_options_stand_in_theirs() -> None:
    model = load_default({"CADDY_GLOBAL_OPTIONS": "debug\nhttp_port 8080\nadmin off"})
    assert model.runtime.debug
    assert model.servers.http_port == 8080
    assert not model.admin.enabled


def test_extra_config_is_more_sites_and_snippets() -> None:
    model = load_default({"CADDY_EXTRA_CONFIG": "(s) {\nheader X y\n}\n:9000 {\nimport s\n}"})
    assert [site.addresses[0].port for site in model.sites] == [9000, 0]
    assert actions(model.sites[0]) == [http.Header]


def test_extra_directives_stand_in_the_site() -> None:
    site = only_site(
        load_default({"CADDY_SERVER_EXTRA_DIRECTIVES": "header X y\nbasic_auth /a {\nu $2a$14$" + "x" * 53 + "\n}"})
    )
    assert actions(site) == [http.Root, http.Header, http.BasicAuth, http.Encode, http.Php]


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("SERVER_NAME", "a.test:http", "the address a.test:http has the port 'http'"),
        ("FRANKENPHP_CONFIG", "worker", "a worker needs a script"),
        ("CADDY_GLOBAL_OPTIONS", "}", "closes nothing"),
        ("CADDY_SERVER_EXTRA_DIRECTIVES", "mercure", "the Mercure hub is not available yet"),
    ],
)
def test_a_mistake_in_a_variable_is_told_with_its_place(name: str, value: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message) as caught:
        load_default({name: value})
    place = TEXT.split("\n")[(caught.value.line or 0) - 1]
    # A brace that closes too much is noticed at the one that is left over.
    assert place == "}" if value == "}" else f"{{${name}" in place


def test_it_is_formatted() -> None:
    assert format_text(TEXT, DEFAULT_NAME) == TEXT
