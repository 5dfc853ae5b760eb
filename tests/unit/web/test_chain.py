from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import (
    Encode,
    ErrorResponse,
    ErrorRoutes,
    Header,
    HeaderOperation,
    MethodMatch,
    PathMatch,
    RequestBody,
    Respond,
    Rewrite,
    Root,
    Routes,
    Step,
    Vars,
)
from howdah.config.model import Position, WorkerConfig
from howdah.errors import ConfigError, QueueFull
from tests.unit.fakes import whole
from tests.unit.web.building import Built, ask, php_server, site, step


@pytest.fixture
def root(tmp_path: Path) -> Path:
    (tmp_path / "index.php").write_text("<?php")
    (tmp_path / "a.php").write_text("<?php")
    (tmp_path / "style.css").write_text("p{}")
    (tmp_path / "sub").mkdir()
    (tmp_path / "sub" / "index.php").write_text("<?php")
    return tmp_path


class TestOrder:
    def test_first_step_that_answers_ends_the_chain(self) -> None:
        assert ask(Respond("one"), Respond("two")).text == "one"

    def test_matcher_decides_whether_a_step_acts(self) -> None:
        steps = (step(Respond("a"), PathMatch(("/a",))), Respond("other"))
        assert ask(*steps, target="/a").text == "a"
        assert ask(*steps, target="/b").text == "other"

    def test_all_conditions_must_hold(self) -> None:
        steps = (step(Respond("post"), PathMatch(("/a",)), MethodMatch(("POST",))), Respond("other"))
        assert ask(*steps, target="/a", method="POST").text == "post"
        assert ask(*steps, target="/a").text == "other"

    def test_nothing_answers_with_an_empty_200(self) -> None:
        response = ask(step(Respond("a"), PathMatch(("/a",))))
        assert (response.status, response.body, response.header("content-length")) == (200, b"", b"0")

    def test_of_a_group_only_the_first_match_acts(self) -> None:
        built = Built(
            site(
                step(Rewrite("/two"), PathMatch(("/one",)), group="g"),
                step(Rewrite("/three"), PathMatch(("/two", "/x")), group="g"),
                Respond("{path}"),
            )
        )
        assert built.ask("/one").text == "/two"
        assert built.ask("/x").text == "/three"

    def test_group_holds_over_steps_in_between(self) -> None:
        built = Built(
            site(
                step(Vars({"a": "1"}), PathMatch(("/x",)), group="g"),
                Vars({"b": "2"}),
                step(Vars({"a": "3"}), group="g"),
                Respond("{vars.a}{vars.b}"),
            )
        )
        assert built.ask("/x").text == "12"
        assert built.ask("/y").text == "32"

    def test_many_groups_do_not_multiply(self) -> None:
        steps = [step(Vars({f"v{i}": str(i)}), PathMatch((f"/{i}",)), group=f"g{i % 3}") for i in range(60)]
        assert Built(site(*steps, Respond("{vars.v7}"))).ask("/7").text == "7"


class TestRoutes:
    def test_of_exclusive_blocks_the_first_match_is_taken(self) -> None:
        built = Built(
            site(
                step(Routes((step(Respond("api")),), exclusive=True), PathMatch(("/api/*",))),
                step(Routes((step(Respond("rest")),), exclusive=True)),
            )
        )
        assert built.ask("/api/x").text == "api"
        assert built.ask("/").text == "rest"

    def test_block_that_does_not_answer_goes_on_behind_the_others(self) -> None:
        built = Built(
            site(
                step(Routes((step(Vars({"x": "1"})),), exclusive=True), PathMatch(("/api/*",))),
                step(Routes((step(Respond("not this one")),), exclusive=True)),
                Respond("end {vars.x}"),
            )
        )
        assert built.ask("/api/x").text == "end 1"

    def test_prefix_is_stripped_for_what_stands_inside(self) -> None:
        built = Built(
            site(
                step(
                    Routes((step(Respond("{path} of {orig_uri}")),), exclusive=True, strip_prefix="/api"),
                    PathMatch(("/api/*",)),
                )
            )
        )
        assert built.ask("/api/v1/x?y=1").text == "/v1/x of /api/v1/x?y=1"

    @pytest.mark.parametrize("target", ["//api/v1", "/./api/v1", "/x/../api/v1", "/%61pi/v1", "/API/v1"])
    def test_prefix_written_otherwise_is_stripped_too(self, target: str) -> None:
        block = Routes((step(Respond("{path}")),), strip_prefix="/api")
        assert ask(step(block, PathMatch(("/api/*",))), target=target).text == "/v1"


class TestPhp:
    def test_plain_site_gives_php_the_request_as_it_came(self, root: Path) -> None:
        built = Built(site(Root(str(root)), Encode(), php_server()))
        assert built.ask("/a.php/info?x=1").body == b"hello"
        request = built.php.last
        assert request.uri == b"/a.php/info?x=1"
        assert request.target.script_filename == str(root / "a.php").encode()
        assert request.target.path_info == b"/info"
        assert request.query == b"x=1"

    def test_rewritten_request_keeps_its_uri(self, root: Path) -> None:
        built = Built(site(Root(str(root)), Rewrite("/a.php?r={path}&{query}"), php_server()))
        built.ask("/nice/url?y=2")
        request = built.php.last
        assert request.uri == b"/nice/url?y=2"
        assert request.query == b"r=/nice/url&y=2"
        assert request.target.script_name == b"/a.php"

    def test_root_may_depend_on_the_request(self, root: Path, tmp_path: Path) -> None:
        for name in ("one", "two"):
            (tmp_path / "sites" / name).mkdir(parents=True)
            (tmp_path / "sites" / name / "index.php").write_text("<?php")
        built = Built(site(Root(f"{tmp_path}/sites/{{labels.0}}"), php_server()))
        built.ask("/", headers={"host": "two"})
        assert built.php.last.target.script_filename == str(tmp_path / "sites/two/index.php").encode()
        assert built.ask("/", headers={"host": "three"}).status == 404

    def test_host_cannot_lead_out_of_a_root(self, root: Path, tmp_path: Path) -> None:
        (tmp_path / "sites").mkdir()
        built = Built(site(Root(f"{tmp_path}/sites/{{host}}"), php_server()))
        assert built.ask("/index.php", headers={"host": ".."}).status == 404
        assert built.php.accepted == 0

    def test_root_of_the_block_wins(self, root: Path) -> None:
        built = Built(site(Root("/"), php_server(root)))
        built.ask("/a.php")
        assert built.php.last.target.script_filename == str(root / "a.php").encode()

    def test_missing_root_is_an_error_with_its_place(self) -> None:
        broken = Step(php_server("/no/such/folder"), position=Position("Caddyfile", 7, 2))
        with pytest.raises(ConfigError, match=r"Caddyfile:7:2: .*does not exist"):
            Built(site(broken))

    def test_static_file_comes_without_php(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server()))
        assert built.ask("/style.css").body == b"p{}"
        assert built.php.accepted == 0

    def test_without_file_server_a_file_is_the_index_and_the_rest_goes_on(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server(file_server=False), Respond("next")))
        assert built.ask("/style.css").body == b"hello"
        assert built.php.last.target.script_name == b"/index.php"

    def test_without_file_server_and_index_what_is_no_script_goes_on(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server(file_server=False, index=None), Respond("next")))
        assert built.ask("/style.css").text == "next"
        assert built.ask("/missing.php").text == "next"
        assert built.ask("/a.php").body == b"hello"

    def test_php_runs_only_scripts(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server(is_server=False)))
        assert built.ask("/a.php").body == b"hello"
        assert built.ask("/style.css").status == 404
        assert built.ask("/").status == 404

    def test_match_of_a_worker_chooses_it_in_php_too(self, root: Path) -> None:
        worker = WorkerConfig("/outside/worker.php", match=("/api/*",))
        built = Built(site(Root(str(root)), php_server(is_server=False, workers=(worker,))))
        assert built.ask("/api/anything").body == b"hello"
        assert built.php.last.target.script_filename == b"/outside/worker.php"
        built.ask("/a.php")
        assert built.php.last.target.script_filename == str(root / "a.php").encode()
        assert built.ask("/other").status == 404

    def test_all_ways_into_a_server_lead_to_one_site_and_another_server_is_another(self, root: Path) -> None:
        worker = WorkerConfig("/outside/worker.php", match=("/api/*",))
        built = Built(
            site(
                Root(str(root)),
                step(php_server(), PathMatch(("/other/*",))),
                step(php_server(workers=(worker,))),
            )
        )

        def seen(target: str) -> Any:
            built.ask(target)
            return built.php.last.site

        first = seen("/")
        assert all(seen(target) is first for target in ("/a.php/info", "/missing", "/api/x"))
        assert seen("/other/x") is not first

    def test_env_may_depend_on_the_request(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server(env=(("APP_HOST", "{host}"), ("X", "{header.X}")))))
        built.ask("/a.php", headers={"x": "ü"})
        assert built.php.last.env == [(b"APP_HOST", b"testserver"), (b"X", "ü".encode())]

    def test_folder_redirect_keeps_the_address_of_the_client(self, root: Path) -> None:
        block = Routes((step(Root(str(root))), step(php_server())), strip_prefix="/app")
        response = Built(site(step(block, PathMatch(("/app/*",))))).ask("/app/sub?x=1")
        assert (response.status, response.header("location")) == (308, b"/app/sub/?x=1")

    def test_request_body_bounds_the_body(self, root: Path) -> None:
        built = Built(site(Root(str(root)), RequestBody(max_size_bytes=3), php_server()))
        assert built.ask("/a.php", method="POST", body=b"abcd").status == 413
        assert built.ask("/a.php", method="POST", body=b"abc").status == 200

    def test_hidden_files_are_not_sent(self, root: Path) -> None:
        (root / "Caddyfile").write_text("secret")
        built = Built(site(Root(str(root)), php_server(hide=(str(root / "Caddyfile"),))))
        assert built.ask("/Caddyfile").status == 404

    def test_index_php_may_be_named_by_try_files_with_a_status_behind(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server(try_files=("{path}", "=404"))))
        assert built.ask("/nothing").status == 404
        assert built.ask("/a.php").body == b"hello"


class TestErrors:
    def test_error_goes_to_the_first_routes_of_its_code(self) -> None:
        errors = (
            ErrorRoutes((step(Respond("four {err.status_code} {err.status_text} {err.message}")),), ("4xx",)),
            ErrorRoutes((step(Respond("all {http.error.status_code}")),)),
        )
        built = Built(
            site(
                step(ErrorResponse("gone", "410"), PathMatch(("/gone",))),
                ErrorResponse("", "503"),
                errors=errors,
            )
        )
        response = built.ask("/gone")
        assert (response.status, response.text) == (410, "four 410 Gone gone")
        assert built.ask("/").text == "all 503"
        assert built.ask("/").status == 503

    def test_rejection_of_php_goes_there_too_with_the_address_as_it_came(self, root: Path) -> None:
        errors = (ErrorRoutes((step(Respond("{err.status_code} {path}")),)),)
        built = Built(site(Root(str(root)), Rewrite("/missing.php"), php_server(index=None), errors=errors))
        assert built.ask("/nice").text == "404 /nice"

    def test_headers_of_the_site_stay_on_its_error_pages(self) -> None:
        header = Header((HeaderOperation("set", "X-Site", "1"),))
        assert ask(header, ErrorResponse("", "500")).header("x-site") == b"1"

    def test_without_routes_a_plain_page_leaks_nothing(self) -> None:
        response = ask(ErrorResponse("secret of /etc", "500"))
        assert response.status == 500
        assert b"secret" not in response.body
        assert response.body.startswith(b"500 Internal Server Error")

    def test_with_debug_the_page_shows_what_happened(self) -> None:
        response = Built(site(ErrorResponse("what <b>happened</b>", "500")), debug=True).ask("/")
        assert response.status == 500
        assert "what &lt;b&gt;happened&lt;/b&gt;" in response.text

    def test_routes_that_fail_leave_the_page_to_the_server(self) -> None:
        errors = (ErrorRoutes((step(ErrorResponse("second", "502")),)),)
        response = Built(site(ErrorResponse("first", "500"), errors=errors)).ask("/")
        assert (response.status, response.body[:3]) == (500, b"500")

    def test_routes_that_do_not_answer_leave_the_page_to_the_server(self) -> None:
        errors = (ErrorRoutes((step(Vars({"a": "b"})),)),)
        assert Built(site(ErrorResponse("first", "404"), errors=errors)).ask("/").status == 404

    def test_empty_page_of_a_fatal_error_is_an_error(self, root: Path) -> None:
        events = whole(b"", (b"content-type", b"text/html; charset=UTF-8"), (b"x-kept", b"1"), status=500)
        errors = (ErrorRoutes((step(Respond("sorry: {err.status_code}")),)),)
        plain = Built(site(Root(str(root)), php_server()), events).ask("/a.php")
        assert (plain.status, plain.header("x-kept")) == (500, b"1")
        assert plain.body.startswith(b"500 Internal Server Error")
        assert Built(site(Root(str(root)), php_server(), errors=errors), events).ask("/a.php").text == "sorry: 500"

    def test_page_that_a_script_has_written_stays(self, root: Path) -> None:
        events = whole(b"my own page", status=500)
        errors = (ErrorRoutes((step(Respond("sorry")),)),)
        assert Built(site(Root(str(root)), php_server(), errors=errors), events).ask("/a.php").text == "my own page"

    def test_empty_500_of_an_api_stays(self, root: Path) -> None:
        events = whole(b"", (b"content-type", b"application/json"), status=500)
        assert Built(site(Root(str(root)), php_server()), events).ask("/a.php").body == b""

    def test_php_may_write_the_page_of_an_error(self, root: Path) -> None:
        errors = (ErrorRoutes((step(Rewrite("/a.php?code={err.status_code}")), step(php_server(root)))),)
        built = Built(site(ErrorResponse("", "404"), errors=errors))
        response = built.ask("/nothing")
        assert response.body == b"hello"
        assert (built.php.last.query, built.php.last.uri) == (b"code=404", b"/nothing")
        assert response.status == 404

    def test_errors_headers_stay_whoever_writes_the_page(self, root: Path) -> None:
        built = Built(site(Root(str(root)), php_server(), errors=(ErrorRoutes((step(Respond("busy")),)),)))
        built.php.refusal = QueueFull("too many requests wait")
        response = built.ask("/a.php")
        assert (response.status, response.text, response.header("retry-after")) == (503, "busy", b"1")

    def test_page_of_an_error_has_no_body_to_read(self, root: Path) -> None:
        errors = (ErrorRoutes((step(Rewrite("/a.php")), step(php_server(root)))),)
        built = Built(site(RequestBody(max_size_bytes=1), php_server(root, index=None), errors=errors))
        response = built.ask("/a.php", method="POST", body=b"too large")
        assert (response.status, response.body, response.header("connection")) == (413, b"hello", b"close")
        assert built.php.last.body == b""

    def test_wrong_code_is_an_error(self) -> None:
        with pytest.raises(ConfigError, match="is no status"):
            Built(site(errors=(ErrorRoutes((), ("40",)),)))
