from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from howdah.config.http import HttpServers, HttpSite, ServerModel, SiteAddress, Tls
from howdah.config.model import Position
from howdah.errors import ConfigError
from howdah.serve.address import Address
from howdah.serve.listeners import ListenerPlan, Redirect, is_public, plan, warnings


def site(*addresses: SiteAddress, line: int = 0, **fields: Any) -> HttpSite:
    return HttpSite(addresses=addresses, position=Position("Caddyfile", line, 1), **fields)


def at(host: str = "", port: int = 0, scheme: Any = "", path: str = "") -> SiteAddress:
    return SiteAddress(scheme=scheme, host=host, port=port, path=path)


def planned(*sites: HttpSite, **servers: Any) -> dict[str, ListenerPlan]:
    return {str(made.address): made for made in plan(ServerModel(sites=sites, servers=HttpServers(**servers)))}


class TestTlsOrNot:
    @pytest.mark.parametrize(
        ("address", "where", "tls"),
        [
            (at("example.com"), ":443", True),
            (at("localhost"), ":443", True),
            (at("127.0.0.1"), ":443", True),
            (at("localhost", 8080), ":8080", True),
            (at("localhost", 80), ":80", False),
            (at("localhost", 8080, "http"), ":8080", False),
            (at("localhost", scheme="http"), ":80", False),
            (at("localhost", 8443, "https"), ":8443", True),
            (at("", 8080), ":8080", False),
            (at("", 443), ":443", True),
            (at("", scheme="http"), ":80", False),
            (at("", scheme="https"), ":443", True),
        ],
    )
    def test_follows_scheme_port_and_name(self, address: SiteAddress, where: str, tls: bool) -> None:
        made = planned(site(address), auto_https="disable_redirects")
        assert {key: one.tls is not None for key, one in made.items()} == {where: tls}

    def test_tls_directive_gives_a_bare_port_tls(self) -> None:
        made = planned(site(at("", 8443), tls=Tls(internal=True)), auto_https="disable_redirects")
        assert made[":8443"].tls is not None

    def test_auto_https_off_leaves_names_without_tls_and_says_so(self) -> None:
        model = ServerModel(sites=(site(at("a.test")),), servers=HttpServers(auto_https="off"))
        assert [(made.address.port, made.tls) for made in plan(model)] == [(443, None)]
        assert "auto_https is off" in warnings(model)[0]

    @pytest.mark.parametrize("address", [at("a", 443, "http"), at("a", 80, "https")])
    def test_scheme_against_port_is_refused(self, address: SiteAddress) -> None:
        with pytest.raises(ConfigError, match=r"Caddyfile:7:1: .*does not go with port"):
            plan(ServerModel(sites=(site(address, line=7),)))

    def test_own_ports_are_used(self) -> None:
        made = planned(site(at("localhost"), at("other", scheme="http")), http_port=18430, https_port=18431)
        assert {key: one.tls is not None for key, one in made.items()} == {":18431": True, ":18430": False}


class TestSharing:
    def test_sites_of_one_port_share_a_listener(self) -> None:
        made = planned(site(at("a", 8080, "http")), site(at("b", 8080, "http")), site(at("", 8080)))
        assert [binding.host for binding in made[":8080"].bindings] == ["a", "b", ""]

    def test_bind_and_default_bind(self) -> None:
        made = planned(site(at("a", 80), bind=("127.0.0.1", "::1")), site(at("b", 81)), default_bind=("unix//run/x",))
        assert list(made) == ["127.0.0.1:80", "[::1]:80", "unix//run/x"]

    def test_unix_address(self) -> None:
        made = planned(site(SiteAddress(unix="/run/h.sock")))
        assert made["unix//run/h.sock"].tls is None

    def test_duplicate_site_names_both_lines(self) -> None:
        with pytest.raises(ConfigError, match=r"Caddyfile:9:1: http://A is defined twice: http://a of line 3"):
            planned(site(at("a", scheme="http"), line=3), site(at("A", scheme="http"), line=9))

    def test_same_name_below_another_path_or_bind_is_no_duplicate(self) -> None:
        planned(site(at("a", 80)), site(at("a", 80, path="/x")))
        planned(site(at("a", 80), bind=("127.0.0.1",)), site(at("a", 80), bind=("127.0.0.2",)))

    def test_tls_and_plain_on_one_port_is_refused(self) -> None:
        with pytest.raises(
            ConfigError, match="served without TLS at :8443, where https://a:8443 of line 1 is served with"
        ):
            planned(site(at("a", 8443, "https"), line=1), site(at("b", 8443, "http"), line=2))

    def test_all_interfaces_beside_one_is_refused(self) -> None:
        with pytest.raises(ConfigError, match="give all sites of a port the same `bind`"):
            planned(site(at("a", 80), bind=("127.0.0.1",)), site(at("b", 80)))

    @pytest.mark.parametrize("word", ["a b", "unix/", "127.0.0.1/8", "udp/1.1.1.1"])
    def test_bad_bind_has_its_place(self, word: str) -> None:
        with pytest.raises(ConfigError, match="Caddyfile:4:1: bind "):
            planned(site(at("", 80), bind=(word,), line=4))


class TestRedirects:
    def test_tls_names_are_redirected_from_the_http_port(self) -> None:
        made = planned(site(at("a.test"), at("b.test", 8443)), site(at("a.test", scheme="http")))
        assert made[":80"].redirects == (Redirect("b.test", 8443),)

    def test_none_without_tls_or_with_redirects_disabled(self) -> None:
        assert ":80" not in planned(site(at("", 8080)))
        assert ":80" not in planned(site(at("a")), auto_https="disable_redirects")
        assert ":80" not in planned(site(at("a", scheme="https")), auto_https="off")

    def test_they_listen_where_the_site_does(self) -> None:
        assert list(planned(site(at("a"), bind=("127.0.0.1",)))) == ["127.0.0.1:443", "127.0.0.1:80"]

    def test_a_site_for_any_name_keeps_its_own_redirect_apart(self) -> None:
        made = planned(site(at("", 443)), site(at("", 80)))
        assert made[":80"].redirects == ()


class TestTlsPlan:
    def test_names_and_pairs_are_collected(self) -> None:
        pair = ("c.pem", "k.pem")
        made = planned(site(at("a"), tls=Tls(files=(pair,))), site(at("b"), tls=Tls(files=(pair,))), site(at("c")))
        tls = made[":443"].tls
        assert tls is not None
        assert (tls.names, tls.pairs, len(tls.internal)) == (("a", "b", "c"), (pair,), 1)

    def test_client_authority_and_version_must_be_the_same(self) -> None:
        with pytest.raises(ConfigError, match=r"a and b of line 0|share a listener but not the client authority"):
            planned(site(at("b"), tls=Tls(client_ca="x")), site(at("a")))
        with pytest.raises(ConfigError, match="oldest TLS version"):
            planned(site(at("b"), tls=Tls(protocols=("tls1.3",))), site(at("a")))

    @pytest.mark.parametrize("words", [("tls1.1",), ("tls1.2", "tls1.2")])
    def test_versions_that_cannot_be_are_refused(self, words: tuple[str, ...]) -> None:
        with pytest.raises(ConfigError, match="tls protocols"):
            planned(site(at("b"), tls=Tls(protocols=words)))


@pytest.mark.parametrize(
    ("name", "public"),
    [("example.com", True), ("localhost", False), ("a.localhost", False), ("127.0.0.1", False), ("::1", False),
     ("server", False), ("a.internal", False), ("", False), ("*.example.com", True), ("A.Example.COM.", True)],
)  # fmt: skip
def test_public_names(name: str, public: bool) -> None:
    assert is_public(name) is public


def test_public_names_without_files_are_warned_about() -> None:
    def said(**fields: Any) -> list[str]:
        return warnings(ServerModel(sites=(site(at("example.com"), at("localhost"), **fields),)))

    assert "example.com gets one of the local authority" in said()[0]
    assert "localhost gets" not in said()[0]
    assert said(tls=Tls(internal=True)) == []
    assert said(tls=Tls(files=(("c", "k"),))) == []


_HOSTS = st.sampled_from(["", "a.test", "b.test", "localhost"])
_PORTS = st.sampled_from([0, 80, 443, 8080, 8443])
_ADDRESSES = st.builds(at, _HOSTS, _PORTS, st.sampled_from(["", "http", "https"]))
_SITES = st.builds(
    lambda addresses, bind: site(*addresses, bind=bind),
    st.lists(_ADDRESSES, min_size=1, max_size=3),
    st.sampled_from([(), ("127.0.0.1",), ("127.0.0.1", "127.0.0.2")]),
)


@given(st.lists(_SITES, max_size=4), st.sampled_from(["on", "off", "disable_redirects"]))
def test_every_plan_is_consistent(sites: list[HttpSite], auto_https: Any) -> None:
    """Either the sites contradict each other, or each address of each site has its listener, once."""
    servers = HttpServers(auto_https=auto_https)
    try:
        made = plan(ServerModel(sites=tuple(sites), servers=servers))
    except ConfigError:
        return
    where: list[Address] = [one.address for one in made]
    assert len(where) == len(set(where))
    bound = [binding for one in made for binding in one.bindings]
    assert len(bound) == sum(len(site.addresses) * max(1, len(site.bind)) for site in sites)
    for one in made:
        assert one.bindings or one.redirects
        hosts = [(binding.host, binding.path) for binding in one.bindings]
        assert len(hosts) == len(set(hosts))
        redirected = [redirect.host for redirect in one.redirects]
        assert len(redirected) == len(set(redirected))
        assert not set(redirected) & {host for host, _ in hosts}
        assert not one.redirects or (one.tls is None and one.address.port == servers.http_port and auto_https == "on")
        assert (one.tls is not None) or all(binding.address.scheme != "https" for binding in one.bindings)
