"""`$_SERVER`: every key and value of the reference's table, path info and headers."""

from __future__ import annotations

import base64
import json
import time

import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory

ROOT = str(SCRIPTS)


def variables(server: Server, target: str, *headers: str, method: str = "GET", body: bytes = b"") -> dict[str, str]:
    answer = get(server.port, target, headers=headers, method=method, body=body)
    assert answer.status == 200, answer
    seen: dict[str, str] = json.loads(answer.body)
    return seen


def test_a_post_with_authorization_path_info_and_query_is_described_exactly(classic: Server) -> None:
    def request(i: int) -> dict[str, object]:
        return {
            "method": "POST",
            "url": f"/server.php/baz/bat?foo=a&bar=b&i={i}",
            "content": "foo",
            "headers": {"content-type": "text/plain", "host": f"example.com:{classic.port}"},
            "auth": ("kevin", "password"),
        }

    for i, answer in enumerate(fetch_parallel(classic.url, request)):
        seen = answer.json()
        expected = {
            "REMOTE_USER": "kevin",
            "PHP_AUTH_USER": "kevin",
            "PHP_AUTH_PW": "password",
            "HTTP_AUTHORIZATION": "Basic " + base64.b64encode(b"kevin:password").decode(),
            "AUTH_TYPE": "",
            "REMOTE_IDENT": "",
            "PHP_SELF": "/server.php/baz/bat",
            "PATH_INFO": "/baz/bat",
            "PATH_TRANSLATED": ROOT + "/baz/bat",
            "SCRIPT_NAME": "/server.php",
            "SCRIPT_FILENAME": ROOT + "/server.php",
            "DOCUMENT_ROOT": ROOT,
            "DOCUMENT_URI": "/server.php",
            "REQUEST_URI": f"/server.php/baz/bat?foo=a&bar=b&i={i}",
            "QUERY_STRING": f"foo=a&bar=b&i={i}",
            "REQUEST_METHOD": "POST",
            "REQUEST_SCHEME": "http",
            "CONTENT_TYPE": "text/plain",
            "CONTENT_LENGTH": "3",
            "HTTP_CONTENT_TYPE": "text/plain",
            "HTTP_CONTENT_LENGTH": "3",
            "HTTP_HOST": f"example.com:{classic.port}",
            "SERVER_NAME": "example.com",
            "SERVER_PORT": str(classic.port),
            "SERVER_PROTOCOL": "HTTP/1.1",
            "SERVER_SOFTWARE": "Howdah",
            "GATEWAY_INTERFACE": "CGI/1.1",
            "REMOTE_ADDR": "127.0.0.1",
            "REMOTE_HOST": "127.0.0.1",
            "HTTPS": "",
            "SSL_PROTOCOL": "",
            "SSL_CIPHER": "",
        }
        assert {name: seen.get(name) for name in expected} == expected
        assert 1 <= int(seen["REMOTE_PORT"]) <= 65535
        assert abs(seen["REQUEST_TIME_FLOAT"] - time.time()) < 30
        assert seen["REQUEST_TIME"] == int(seen["REQUEST_TIME_FLOAT"])


@pytest.mark.parametrize(
    "name",
    [
        "CONTENT_LENGTH", "CONTENT_TYPE", "QUERY_STRING", "PATH_INFO", "AUTH_TYPE", "REMOTE_IDENT", "HTTPS",
        "SSL_PROTOCOL", "SSL_CIPHER",
    ],
)  # fmt: skip
def test_keys_that_are_always_set_are_empty_without_a_value(served: Server, name: str) -> None:
    assert variables(served, "/server.php")[name] == ""


@pytest.mark.parametrize("name", ["PATH_TRANSLATED", "REMOTE_USER", "PHP_AUTH_USER", "PHP_AUTH_PW", "PHP_AUTH_DIGEST"])
def test_keys_that_depend_on_the_request_are_absent_without_it(served: Server, name: str) -> None:
    assert name not in variables(served, "/server.php")


@pytest.mark.parametrize(
    "name",
    ["SERVER_ADMIN", "SERVER_SIGNATURE", "REDIRECT_STATUS", "ORIG_PATH_INFO", "SSL_CLIENT_VERIFY", "FRANKENPHP_WORKER"],
)
def test_keys_of_other_servers_are_not_set(served: Server, name: str) -> None:
    assert name not in variables(served, "/server.php")


def test_the_process_environment_is_part_of_the_variables(served: Server) -> None:
    seen = variables(served, "/server.php")
    assert seen["CUSTOM_OS_ENV_VARIABLE"] == "custom_env_variable_value"
    assert seen["LITERAL_ZERO"] == "0"


@pytest.mark.parametrize(
    ("host", "name", "port"),
    [
        ("example.com", "example.com", "80"),
        ("example.com:8443", "example.com", "8443"),
        ("127.0.0.1:81", "127.0.0.1", "81"),
        ("[::1]:82", "[::1]", "82"),
        ("[::1]", "[::1]", "80"),
    ],
)
def test_server_name_and_port_come_from_the_host_header(served: Server, host: str, name: str, port: str) -> None:
    with served.client(headers={"host": host}) as client:
        seen = client.get("/server.php").json()
    assert (seen["SERVER_NAME"], seen["SERVER_PORT"], seen["HTTP_HOST"]) == (name, port, host)


def test_request_uri_is_the_target_as_the_client_wrote_it(served: Server) -> None:
    target = "/server.php/a%20b/%2F%C3%A9/%ff?q=%20+&&x=%00"
    seen = variables(served, target)
    assert seen["REQUEST_URI"] == target
    assert seen["QUERY_STRING"] == "q=%20+&&x=%00"
    assert seen["PATH_INFO"] == "/a b//\u00c3\u00a9/\u00ff"  # the script shows bytes as Latin-1


def test_script_and_php_self_are_decoded_and_request_uri_is_not(classic: Server) -> None:
    seen = variables(classic, "/s%65rver.php/x%79z")
    assert seen["SCRIPT_NAME"] == "/server.php"
    assert seen["PHP_SELF"] == "/server.php/xyz"
    assert seen["REQUEST_URI"] == "/s%65rver.php/x%79z"


def test_an_empty_query_keeps_its_question_mark_in_request_uri(classic: Server) -> None:
    seen = variables(classic, "/server.php?")
    assert seen["QUERY_STRING"] == ""
    assert seen["REQUEST_URI"] in {"/server.php?", "/server.php"}


def test_a_second_question_mark_belongs_to_the_query(classic: Server) -> None:
    assert variables(classic, "/server.php?a=1?b=2")["QUERY_STRING"] == "a=1?b=2"


def test_path_info_with_a_second_script_suffix_stays_path_info(classic: Server) -> None:
    seen = variables(classic, "/server.php/other.php/tail")
    assert seen["SCRIPT_NAME"] == "/server.php"
    assert seen["PATH_INFO"] == "/other.php/tail"


def test_unusual_headers_become_http_keys(served: Server) -> None:
    seen = variables(served, "/server.php", "X-Foo-Bar: value", "x-lower: 1", "X-Empty:", "Sec-CH-UA-Mobile: ?0")
    assert seen["HTTP_X_FOO_BAR"] == "value"
    assert seen["HTTP_X_LOWER"] == "1"
    assert seen["HTTP_X_EMPTY"] == ""
    assert seen["HTTP_SEC_CH_UA_MOBILE"] == "?0"


def test_repeated_headers_are_joined_with_a_comma(served: Server) -> None:
    seen = variables(served, "/server.php", "X-Many: one", "X-Other: x", "X-Many: two", "x-many: three")
    assert seen["HTTP_X_MANY"] == "one, two, three"


def test_header_bytes_above_ascii_arrive_unchanged(served: Server) -> None:
    assert variables(served, "/server.php", "X-Bytes: caf\xe9")["HTTP_X_BYTES"] == "caf\u00e9"


def test_headers_keep_their_wire_order(served: Server) -> None:
    names = [f"X-Order-{letter}" for letter in "zmaqbyc"]
    seen = variables(served, "/server.php", *(f"{name}: 1" for name in names))
    keys = ["HTTP_" + name.upper().replace("-", "_") for name in names]
    assert [key for key in seen if key in keys] == keys


def test_x_forwarded_headers_change_nothing_but_their_own_keys(classic: Server) -> None:
    seen = variables(
        classic, "/server.php", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Proto: https", "X-Forwarded-Host: evil"
    )
    assert seen["REMOTE_ADDR"] == "127.0.0.1"
    assert seen["HTTPS"] == ""
    assert seen["REQUEST_SCHEME"] == "http"
    assert seen["HTTP_X_FORWARDED_FOR"] == "1.2.3.4"


def test_request_headers_function_includes_host_and_canonical_names(served: Server) -> None:
    def request(i: int) -> dict[str, object]:
        headers = {"x-custom-thing": f"value {i}", "content-type": "text/plain", "host": "example.org"}
        return {"method": "POST", "url": "/request_headers.php", "headers": headers, "content": "a"}

    for i, answer in enumerate(fetch_parallel(served.url, request)):
        seen = answer.json()
        assert seen["same"] is True
        headers = seen["getallheaders"]
        assert headers["X-Custom-Thing"] == f"value {i}"
        assert headers["Host"] == "example.org"
        assert headers["Content-Type"] == "text/plain"
        assert headers["Content-Length"] == "1"


def test_path_info_survives_a_rewrite_to_the_front_controller(module_server: ServerFactory) -> None:
    server = module_server(SCRIPTS / "site", "--num-threads", "2")
    answers = fetch_parallel(server.url, lambda i: {"url": f"/no/such/{i}?q={i}"})
    for i, answer in enumerate(answers):
        seen = answer.json()
        assert seen["SCRIPT_NAME"] == "/index.php"
        assert seen["SCRIPT_FILENAME"] == str(SCRIPTS / "site" / "index.php")
        assert seen["REQUEST_URI"] == f"/no/such/{i}?q={i}"
        assert seen["QUERY_STRING"] == f"q={i}"
        assert seen["PATH_INFO"] == ""
    assert server.json("/index.php/extra/info")["PATH_INFO"] == "/extra/info"
    assert server.json("/index.php/extra/info")["PATH_TRANSLATED"] == str(SCRIPTS / "site") + "/extra/info"


def test_env_of_the_site_overrides_a_computed_variable_but_not_the_query(module_asgi: ServerFactory) -> None:
    env = {"REQUEST_URI": "/overridden", "QUERY_STRING": "not=this", "REQUEST_METHOD": "NOT", "CONTENT_TYPE": "no/no"}
    server = module_asgi("uvicorn", {"root": ROOT, "options": {"env": env}, "runtime": {"num_threads": 2}})
    seen = server.json("/server.php/pathinfo?a=b")
    assert seen["REQUEST_URI"] == "/overridden"
    assert seen["QUERY_STRING"] == "a=b"
    assert seen["REQUEST_METHOD"] == "GET"
    assert seen["PATH_INFO"] == "/pathinfo"


def test_variables_order_without_s_leaves_the_array_empty(own_server: ServerFactory) -> None:
    server = own_server(ini={"variables_order": "GPC"})
    assert server.json("/server.php") == []


def test_argv_holds_the_query_when_it_is_asked_for(own_server: ServerFactory) -> None:
    server = own_server(ini={"register_argc_argv": "1"})
    assert server.json("/argv.php?one+two")["argv"] == ["one", "two"]


def test_input_filter_is_applied_when_it_is_configured(own_server: ServerFactory) -> None:
    server = own_server(ini={"filter.default": "special_chars", "error_reporting": "0"})
    assert server.json("/server.php?a=%3Cb%3E", headers={"x-tag": "<b>"})["HTTP_X_TAG"] == "&#60;b&#62;"
