"""Workers in a configuration: forms, names, places; the configuration tests of the reference system."""

from __future__ import annotations

from dataclasses import fields, replace
from pathlib import Path

import pytest

from howdah.config.adapt import parse_config
from howdah.config.directives.worker import DEFAULT_WATCH
from howdah.config.http import HttpSite, Php, Routes, SiteAddress, Step
from howdah.config.model import Position, WorkerConfig
from howdah.config.workers import Names, server_name
from howdah.errors import ConfigError


def find_php(steps: tuple[Step, ...]) -> list[Php]:
    found = []
    for step in steps:
        if isinstance(step.action, Php):
            found.append(step.action)
        elif isinstance(step.action, Routes):
            found += find_php(step.action.steps)
    return found


def php_of(text: str) -> list[Php]:
    sites: tuple[HttpSite, ...] = parse_config(text, "Caddyfile", {}).sites
    return [php for site in sites for php in find_php(site.steps)]


def block(*lines: str) -> str:
    return "localhost {\nphp_server {\n" + "\n".join(lines) + "\n}\n}\n"


def workers_of(text: str) -> tuple[WorkerConfig, ...]:
    return php_of(text)[0].site.workers


def names_of(*workers: WorkerConfig, server: str = "") -> list[str | None]:
    return [worker.name for worker in Names().unique(workers, server)]


class TestForms:
    @pytest.mark.parametrize(
        ("line", "worker"),
        [
            ("worker /a.php", WorkerConfig("/a.php")),
            ("worker /a.php 3", WorkerConfig("/a.php", num=3)),
            ("worker /a.php 0", WorkerConfig("/a.php", num=0)),
            ("worker /a.php watch", WorkerConfig("/a.php", watch=(DEFAULT_WATCH,))),
            ('worker "/with space.php" ""', WorkerConfig("/with space.php")),
            ("worker {\nfile /a.php\n}", WorkerConfig("/a.php")),
            ("worker /a.php 2 {\nname n\n}", WorkerConfig("/a.php", num=2, name="n")),
            (
                "worker {\nfile /a.php\nnum 1\nenv APP_ENV production\nenv DEBUG true\n}",
                WorkerConfig("/a.php", num=1, env={"APP_ENV": "production", "DEBUG": "true"}),
            ),
        ],
    )
    def test_short_and_long(self, line: str, worker: WorkerConfig) -> None:
        assert workers_of(block(line)) == (worker,)

    def test_a_bare_watch_and_patterns_keep_their_order(self) -> None:
        (worker,) = workers_of(block("worker {", "file /a.php", "watch", "watch ./a/*.php", "watch ./b ./c", "}"))
        assert worker.watch == (DEFAULT_WATCH, "./a/*.php", "./b", "./c")

    def test_variables_of_a_worker_win_over_those_of_its_site_wherever_they_stand(self) -> None:
        (worker,) = workers_of(block("worker {", "file /a.php", "env A worker", "}", "env A site", "env B site"))
        assert worker.env == {"A": "worker", "B": "site"}

    def test_values_that_depend_on_the_request_are_not_for_workers(self) -> None:
        (php,) = php_of(block("worker /a.php", "env HOST {host}", 'env JSON "{\\"a\\": 1}"'))
        assert php.env == (("HOST", "{host}"),)
        assert php.site.env == {"JSON": '{"a": 1}'}
        assert php.site.workers[0].env == {"JSON": '{"a": 1}'}


class TestFiles:
    def test_relative_ones_stand_below_the_root_of_their_block(self) -> None:
        workers = workers_of(block("worker a.php", "worker /b.php", "root public"))
        assert [worker.file for worker in workers] == ["public/a.php", "/b.php"]

    def test_without_a_root_in_the_block_they_are_left_alone(self) -> None:
        text = "localhost {\nroot public\nphp_server {\nworker a.php\n}\n}\n"
        assert [worker.file for worker in workers_of(text)] == ["a.php"]

    def test_different_ones_are_kept_in_order(self) -> None:
        workers = workers_of(block("worker /with-env.php", "worker /with-counter.php"))
        assert [worker.file for worker in workers] == ["/with-env.php", "/with-counter.php"]

    def test_two_workers_must_not_have_the_same(self) -> None:
        with pytest.raises(ConfigError, match="must not have duplicate filenames"):
            php_of(block("worker /a.php", "worker {", "file /a.php", "name other", "}"))

    def test_workers_told_apart_by_match_may_share_one_before_one_that_takes_the_rest(self) -> None:
        matching = ("worker {", "file /a.php", "match /x", "}")
        assert len(workers_of(block(*matching, *matching, "worker /a.php"))) == 3

    def test_two_blocks_may_have_the_same(self) -> None:
        text = "one.test {\nphp_server {\nworker {\nfile /a.php\nname one\n}\n}\n}\ntwo.test {\nphp_server {\nworker {\nfile /a.php\nname two\n}\n}\n}\n"
        assert [php.site.workers[0].name for php in php_of(text)] == ["one", "two"]


class TestNames:
    def test_collisions_get_numbers(self) -> None:
        same = WorkerConfig("/a.php", name="w")
        assert names_of(same, same, same) == ["w", "w_1", "w_2"]

    def test_a_path_is_a_name_too(self) -> None:
        path = str(Path.cwd() / "a.php")
        workers = (WorkerConfig("a.php"), WorkerConfig(path), WorkerConfig("/b.php", name=path))
        assert names_of(*workers) == [None, f"{path}_1", f"{path}_2"]

    def test_the_first_collision_takes_the_name_of_the_server(self) -> None:
        same = WorkerConfig("/a.php", name="w")
        assert names_of(same, same, same, server="s") == ["w", "s:w", "w_1"]

    def test_a_worker_that_gets_another_name_keeps_everything_else(self) -> None:
        made = WorkerConfig(
            "/a.php", 2, "w", {"A": "b"}, ("x",), ("/x",), 3, 4, 5, 6.0, False, 7, Position("Caddyfile", 1, 1)
        )
        assert all(getattr(made, one.name) != one.default for one in fields(made)), "a field was added"
        _, renamed = Names().unique((WorkerConfig("/b.php", name="w"), made), "")
        assert renamed == replace(made, name="w_1")

    def test_a_number_that_is_taken_is_not_given_again(self) -> None:
        workers = (WorkerConfig("/a", name="w_1"), WorkerConfig("/b", name="w"), WorkerConfig("/c", name="w"))
        assert names_of(*workers) == ["w_1", "w", "w_2"]


class TestServerNames:
    @pytest.mark.parametrize(
        ("addresses", "name"),
        [
            ((SiteAddress(host="a.test"), SiteAddress(host="b.test")), "a.test"),
            ((SiteAddress(port=8080), SiteAddress(host="b.test")), "b.test"),
            ((SiteAddress(port=8080),), ":8080"),
            ((SiteAddress(unix="/run/a.sock"),), "unix//run/a.sock"),
            ((SiteAddress(scheme="http"),), ""),
            ((), ""),
        ],
    )
    def test_a_host_comes_before_an_address(self, addresses: tuple[SiteAddress, ...], name: str) -> None:
        assert server_name(addresses) == name

    def test_a_name_of_its_own_comes_first(self) -> None:
        assert [php.name for php in php_of(block("name shop"))] == ["shop"]
        assert [php.name for php in php_of(block())] == ["localhost"]

    @pytest.mark.parametrize(
        ("address", "directives", "name"),
        [
            (":8080", "php_server", ":8080"),
            (":8080", "@api host api.test www.test\nphp_server @api", "api.test"),
            (":8080", "@api host api.test www.test\nphp_server @api {\nname shop\n}", "shop"),
            (":8080", "@api host api.test\nhandle @api {\nroute {\nphp\n}\n}", "api.test"),
            (":8080", "@api host api.test\n@www host www.test\nhandle @api {\nphp @www\n}", "api.test"),
            (":8080", "@any host {env.NAME} b.test\nphp_server @any", "b.test"),
            (":8080", "@others not host api.test\nphp_server @others", ":8080"),
            (":8080", "@path path /x*\nphp_server @path", ":8080"),
            ("site.test:8080", "@api host api.test\nphp_server @api", "site.test"),
            (":8080, site.test:8080", "php_server", "site.test"),
        ],
    )
    def test_a_matcher_of_hosts_comes_between_the_site_s_hosts_and_its_address(
        self, address: str, directives: str, name: str
    ) -> None:
        assert [php.name for php in php_of(f"{address} {{\n{directives}\n}}\n")] == [name]

    def test_two_blocks_of_one_site_are_two_servers_with_workers_of_their_own(self) -> None:
        text = "a.test {\nroute {\nphp {\nworker /a.php\n}\nphp {\nworker /b.php\nname two\n}\n}\n}\n"
        seen = [(php.name, [worker.file for worker in php.site.workers]) for php in php_of(text)]
        assert seen == [("a.test", ["/a.php"]), ("two", ["/b.php"])]


class TestLimits:
    def test_a_zero_body_timeout_is_kept(self) -> None:
        (php,) = php_of(block("request_body_timeout 0"))
        assert php.site.request_body_timeout_s == 0
        (php,) = php_of(block("request_body_timeout 5s"))
        assert php.site.request_body_timeout_s == 5
        (php,) = php_of(block())
        assert php.site.request_body_timeout_s == 60

    def test_the_option_of_frankenphp_is_for_sites_without_a_size_of_their_own(self) -> None:
        options = "{\nfrankenphp {\nmax_body_size 1MB\n}\n}\n"
        assert [php.site.max_body_size_bytes for php in php_of(options + block())] == [1_000_000]
        assert [php.site.max_body_size_bytes for php in php_of(options + block("max_body_size 2MB"))] == [2_000_000]

    def test_threads_are_not_counted_before_the_cores_are_known(self) -> None:
        model = parse_config("{\nfrankenphp {\nnum_threads 2\nworker /a.php\n}\n}\n", "Caddyfile", {})
        assert model.runtime.workers[0].num is None
