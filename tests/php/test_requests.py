"""What a script gets of a request: forms, cookies, bodies, uploads; 100 requests at a time."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

import httpx
import pytest

from tests.php.harness.parallel import fetch_parallel
from tests.php.harness.raw import RawConnection, get
from tests.php.harness.server import Server


def test_each_of_100_parallel_requests_gets_its_own_answer(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": f"/hello.php?i={i}"})
    assert [answer.text for answer in answers] == [f"request {i}" for i in range(100)]


def test_input_stream_holds_exactly_the_body_of_its_request(served: Server) -> None:
    answers = fetch_parallel(
        served.url,
        lambda i: {
            "method": "POST",
            "url": "/input.php",
            "content": f"post data {i}",
            "headers": {"content-type": "text/plain"},
        },
    )
    for i, answer in enumerate(answers):
        assert answer.text == f"got: post data {i}"
        assert answer.headers["x-length"] == str(len(f"post data {i}"))


def test_get_and_post_variables_belong_to_their_request(served: Server) -> None:
    answers = fetch_parallel(
        served.url,
        lambda i: {"method": "POST", "url": f"/form.php?foo=a&bar=b&i={i}", "data": {"baz": "bat", "i": f"post {i}"}},
    )
    for i, answer in enumerate(answers):
        seen = answer.json()
        assert seen["get"] == {"foo": "a", "bar": "b", "i": str(i)}
        assert seen["post"] == {"baz": "bat", "i": f"post {i}"}


def test_request_variables_merge_get_and_post_of_this_request(served: Server) -> None:
    answers = fetch_parallel(
        served.url, lambda i: {"method": "POST", "url": f"/form.php?foo=a&i={i}", "data": {"baz": f"bat {i}"}}
    )
    for i, answer in enumerate(answers):
        assert answer.json()["request"] == {"foo": "a", "i": str(i), "baz": f"bat {i}"}


def test_request_variables_are_fresh_when_only_some_requests_use_them(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": f"/request_only.php?val={i}" + ("&use=1" if i % 2 else "")})
    for i, answer in enumerate(answers):
        assert answer.json() == ({"val": str(i), "use": "1"} if i % 2 else "unused")


def test_two_cookies_are_parsed(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": "/form.php", "headers": {"cookie": f"foo=bar; i={i}"}})
    for i, answer in enumerate(answers):
        assert answer.json()["cookie"] == {"foo": "bar", "i": str(i)}


def test_several_cookie_headers_are_joined_and_bad_names_normalised(served: Server) -> None:
    answer = get(
        served.port,
        "/malformed_cookie.php",
        headers=(
            "Cookie: foo=bar; .dotted.name=1; sp ace=2; foo=later",
            "Cookie: second=line; [bracket]=3; empty=; novalue",
        ),
    )
    seen = json.loads(answer.body)["cookie"]
    assert seen["foo"] == "bar", "the first of two values wins"
    assert seen["_dotted_name"] == "1"
    assert seen["sp_ace"] == "2"
    assert seen["second"] == "line"
    assert seen["empty"] == ""


def test_a_large_request_body_arrives_whole(served: Server) -> None:
    body = bytes(range(256)) * 23_627  # 6,048,512 bytes
    answer = served.post("/large_request.php", content=body, headers={"content-type": "application/octet-stream"})
    assert answer.text == f"{len(body)} {hashlib.md5(body).hexdigest()}"


def test_large_bodies_in_parallel_do_not_mix(served: Server) -> None:
    def body(i: int) -> bytes:
        return f"{i:04d}".encode() * 50_000

    answers = fetch_parallel(
        served.url,
        lambda i: {
            "method": "POST",
            "url": "/large_request.php",
            "content": body(i),
            "headers": {"content-type": "x/y"},
        },
        20,
    )
    for i, answer in enumerate(answers):
        assert answer.text == f"200000 {hashlib.md5(body(i)).hexdigest()}"


def test_a_chunked_body_arrives_whole_and_without_a_length(served: Server) -> None:
    request = (
        b"POST /input.php HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n"
        b"5\r\nhello\r\n7;extension=1\r\n, world\r\n0\r\n\r\n"
    )
    with RawConnection(served.port) as connection:
        connection.send(request)
        answer = connection.read_response()
    assert answer.body == b"got: hello, world"


def test_a_chunked_form_is_parsed_as_form(served: Server) -> None:
    answer = served.post(
        "/form.php",
        content=iter([b"a=1&", b"b=2"]),
        headers={"content-type": "application/x-www-form-urlencoded"},
    )
    assert answer.json()["post"] == {"a": "1", "b": "2"}


def test_content_length_of_a_chunked_body_is_empty(served: Server) -> None:
    answer = served.post("/server.php", content=iter([b"abc"]), headers={"content-type": "text/plain"})
    assert answer.json()["CONTENT_LENGTH"] == ""


def test_an_expected_continue_is_answered_before_the_body(served: Server) -> None:
    with RawConnection(served.port) as connection:
        connection.send(
            b"POST /input.php HTTP/1.1\r\nHost: a\r\nContent-Length: 4\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n"
        )
        assert connection.read_head().status == 100
        connection.send(b"late")
        assert connection.read_response().body == b"got: late"


def test_an_uploaded_file_is_readable_through_its_temporary_name(served: Server) -> None:
    def request(i: int) -> dict[str, object]:
        files = {"file": (f"name {i}.txt", f"content {i}".encode(), "text/plain")}
        return {"method": "POST", "url": "/upload.php", "files": files, "data": {"field": f"value {i}"}}

    for i, answer in enumerate(fetch_parallel(served.url, request)):
        seen = answer.json()
        uploaded = seen["files"]["file"]
        assert seen["post"] == {"field": f"value {i}"}
        assert uploaded["name"] == f"name {i}.txt"
        assert uploaded["error"] == 0
        assert uploaded["uploaded"] is True
        assert uploaded["type"] == "text/plain"
        assert uploaded["md5"] == hashlib.md5(f"content {i}".encode()).hexdigest()
        assert not Path(uploaded["path"]).exists(), "PHP removes it after the request"


def test_a_large_upload_is_received_whole(served: Server) -> None:
    content = b"0123456789" * 150_000  # below upload_max_filesize (2 MB)
    answer = served.post("/upload.php", files={"file": ("big.bin", content)})
    uploaded = answer.json()["files"]["file"]
    assert (uploaded["size"], uploaded["md5"]) == (len(content), hashlib.md5(content).hexdigest())


def test_an_upload_above_phps_limit_is_reported_to_the_script(served: Server) -> None:
    answer = served.post("/upload.php", files={"file": ("big.bin", b"x" * (3 << 20))})
    assert answer.json()["files"]["file"]["error"] == 1  # UPLOAD_ERR_INI_SIZE


@pytest.mark.log_noise(r"POST Content-Length of \d+ bytes exceeds the limit")
def test_a_form_above_post_max_size_reaches_the_script_without_its_fields(served: Server) -> None:
    answer = served.post("/form.php", data={"field": "x" * (17 << 20)})
    assert answer.status_code == 200
    assert '"post":[]' in answer.text


def test_head_runs_the_script_and_sends_no_body(served: Server) -> None:
    answer = get(served.port, "/headers.php?i=7", method="HEAD")
    assert (answer.status, answer.body) == (201, b"")
    assert answer.header("x-plain") == b"7"


def test_head_leaves_the_connection_usable(served: Server) -> None:
    with RawConnection(served.port) as connection:
        for _ in range(3):
            connection.send(b"HEAD /hello.php?i=1 HTTP/1.1\r\nHost: a\r\n\r\n")
            assert connection.read_response(method="HEAD").status == 200
        connection.send(b"GET /hello.php?i=2 HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n")
        assert connection.read_response().body == b"request 2"


@pytest.mark.parametrize("method", ["PUT", "PATCH", "DELETE", "OPTIONS", "PROPFIND", "FOO"])
def test_every_method_reaches_the_script(served: Server, method: str) -> None:
    with served.client() as client:
        seen = client.request(method, "/server.php", content=b"x").json()
    assert seen["REQUEST_METHOD"] == method


def test_put_body_is_input_and_no_form(served: Server) -> None:
    with served.client() as client:
        assert client.put("/form.php", data={"a": "1"}).json()["post"] == []
        assert client.put("/input.php", data={"a": "1"}).text == "got: a=1"


def test_objects_and_static_properties_are_new_in_each_request(classic: Server) -> None:
    answers = fetch_parallel(classic.url, lambda i: {"url": f"/object.php?i={i}"})
    numbers = {answer.text.split(" number ")[0] for answer in answers}
    assert len(numbers) == 1, numbers
    assert [answer.text.split(" number ")[1] for answer in answers] == [f"1 request {i}" for i in range(100)]


def test_an_autoloader_works_and_is_gone_in_the_next_request(classic: Server) -> None:
    answers = fetch_parallel(classic.url, lambda i: {"url": f"/autoload.php?i={i}"})
    assert [answer.text for answer in answers] == [f"before: 0, after: 1, loaded: Counted 0 {i}" for i in range(100)]


def test_fibers_echo_set_headers_and_read_input(served: Server) -> None:
    answers = fetch_parallel(
        served.url,
        lambda i: {
            "method": "POST",
            "url": f"/fiber.php?i={i}",
            "content": "x" * i,
            "headers": {"content-type": "a/b"},
        },
    )
    for i, answer in enumerate(answers):
        assert answer.text == f"in suspended resumed {i} end {i}"
        assert answer.headers["x-fiber"] == str(i)


def test_phpinfo_names_the_sapi_and_the_request(served: Server) -> None:
    answers = fetch_parallel(served.url, lambda i: {"url": f"/info.php?i={i}"}, 20)
    for i, answer in enumerate(answers):
        assert "frankenphp" in answer.text.lower()
        assert f"i={i}" in answer.text


def test_a_keep_alive_connection_carries_many_requests(client: httpx.Client) -> None:
    for i in range(50):
        assert client.get(f"/hello.php?i={i}").text == f"request {i}"


def test_pipelined_requests_are_answered_in_order(served: Server) -> None:
    with RawConnection(served.port) as connection:
        connection.send(b"".join(b"GET /hello.php?i=%d HTTP/1.1\r\nHost: a\r\n\r\n" % i for i in range(10)))
        assert [connection.read_response().body for _ in range(10)] == [b"request %d" % i for i in range(10)]


def test_http_1_0_is_answered_and_closed(served: Server) -> None:
    with RawConnection(served.port) as connection:
        connection.send(b"GET /hello.php?i=1 HTTP/1.0\r\n\r\n")
        assert connection.read_response().body == b"request 1"
        assert connection.is_closed_within(5)
