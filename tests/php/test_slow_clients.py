"""Slow clients hold no PHP thread: every server here has one thread, or two."""

from __future__ import annotations

import os
import time
from pathlib import Path

import pytest

from tests.php.harness.parallel import run_parallel
from tests.php.harness.raw import RawConnection, get
from tests.php.harness.server import SCRIPTS, Server, ServerFactory
from tests.php.harness.waiting import wait_until

_MIB = 1 << 20


@pytest.fixture(scope="module")
def single(module_server: ServerFactory, tmp_path_factory: pytest.TempPathFactory) -> Server:
    """One PHP thread, a spool folder of its own, no compression."""
    spool = tmp_path_factory.mktemp("spool")
    return module_server(
        SCRIPTS,
        "--num-threads",
        "1",
        "--no-compress",
        "--max-body-size",
        "20MiB",
        ini={"post_max_size": "0"},
        env={"HOWDAH_SPOOL_DIR": str(spool)},
    )


def _answers_quickly(server: Server) -> float:
    start = time.monotonic()
    assert server.get("/hello.php?i=1").text == "request 1"
    return time.monotonic() - start


def _spool_files(server: Server) -> list[str]:
    return [name for name in server.descriptors() if "/spool" in name and "(deleted)" in name]


def _open_upload(server: Server, length: int, sent: bytes) -> RawConnection:
    connection = RawConnection(server.port)
    connection.send(
        f"POST /large_request.php HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: {length}\r\n\r\n".encode()
    )
    connection.send(sent)
    return connection


def test_an_upload_that_dribbles_holds_no_thread(single: Server) -> None:
    with _open_upload(single, 1000, b"x" * 10) as upload:
        for _ in range(5):
            upload.send(b"y")
            assert _answers_quickly(single) < 1
        upload.send(b"z" * 985)
        assert upload.read_response().body.startswith(b"1000 ")


def test_fifty_dribbling_uploads_hold_no_thread(single: Server) -> None:
    uploads = [_open_upload(single, 300_000, b"x" * 100_000) for _ in range(50)]
    try:
        assert _answers_quickly(single) < 1
        for upload in uploads:
            upload.send(b"y" * 200_000)
        for upload in uploads:
            assert upload.read_response().body.startswith(b"300000 ")
    finally:
        for upload in uploads:
            upload.close()


def test_a_body_beyond_64_kib_waits_in_an_unlinked_file(single: Server) -> None:
    with _open_upload(single, 2 * _MIB, b"x" * _MIB) as upload:
        wait_until(lambda: _spool_files(single), "a spool file")
        upload.send(b"x" * _MIB)
        assert upload.read_response().body.startswith(b"2097152 ")


def test_an_abandoned_upload_is_never_executed_and_its_file_goes_away(single: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(single.port) as upload:
        upload.send(
            f"POST /sleep.php?trace={trace} HTTP/1.1\r\nHost: a\r\nContent-Length: {2 * _MIB}\r\n\r\n".encode()
            + b"x" * _MIB
        )
        wait_until(lambda: _spool_files(single), "a spool file")
    wait_until(lambda: not _spool_files(single), "the spool file to be closed")
    assert not trace.exists()


def test_a_stalled_download_holds_no_thread(single: Server) -> None:
    with RawConnection(single.port, receive_buffer=4096) as download:
        download.send(f"GET /download.php?bytes={30 * _MIB} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        download.read_head()
        assert _answers_quickly(single) < 2


def test_stalled_downloads_of_eight_clients_hold_no_thread(single: Server, tmp_path: Path) -> None:
    def start(i: int) -> RawConnection:
        connection = RawConnection(single.port, receive_buffer=4096)
        connection.send(
            f"GET /download.php?bytes={12 * _MIB}&trace={tmp_path}/{i} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
        )
        return connection

    downloads = [start(i) for i in range(8)]
    try:
        wait_until(lambda: len(list(tmp_path.iterdir())) == 8, "all scripts to end", timeout_s=20)
        assert _answers_quickly(single) < 1
    finally:
        for download in downloads:
            download.close()


def test_a_slow_reader_gets_every_byte_in_the_end(single: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(single.port, receive_buffer=65536) as download:
        download.send(
            f"GET /download.php?bytes={10 * _MIB}&trace={trace} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode()
        )
        wait_until(trace.exists, "the script to end while its client has read nothing")
        body = download.read_response().body
    assert body == b"0123456789abcdef" * (10 * _MIB // 16)


def test_memory_stays_bounded_while_responses_are_spooled(single: Server, tmp_path: Path) -> None:
    def resident() -> int:
        status = Path(f"/proc/{single.pid}/status").read_text()
        return int(next(line for line in status.splitlines() if line.startswith("VmRSS")).split()[1]) * 1024

    before = resident()
    downloads = []
    try:
        for i in range(3):
            connection = RawConnection(single.port, receive_buffer=4096)
            downloads.append(connection)
            connection.send(
                f"GET /download.php?bytes={60 * _MIB}&trace={tmp_path}/{i} HTTP/1.1\r\nHost: a\r\n\r\n".encode()
            )
        wait_until(lambda: len(list(tmp_path.iterdir())) == 3, "180 MiB to be spooled", timeout_s=30)
        assert resident() - before < 110 * _MIB
    finally:
        for download in downloads:
            download.close()


def test_a_script_whose_output_is_spooled_ends_when_its_client_leaves(single: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(single.port, receive_buffer=4096) as download:
        download.send(f"GET /ticking.php?trace={trace}&size={_MIB} HTTP/1.1\r\nHost: a\r\n\r\n".encode())
        wait_until(lambda: trace.exists() and int(trace.read_text() or 0) >= 5, "five ticks")
    left = time.time()
    end = Path(f"{trace}.end")
    wait_until(lambda: end.exists() and end.read_text(), "the script to end")
    assert float(end.read_text().split()[0]) - left < 0.3


def test_a_body_above_the_limit_is_413_and_not_executed(single: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(single.port) as upload:
        upload.send(
            f"POST /sleep.php?trace={trace} HTTP/1.1\r\nHost: a\r\nContent-Length: {21 * _MIB}\r\n\r\n".encode()
        )
        assert upload.read_response().status == 413
    assert not trace.exists()


def test_a_chunked_body_above_the_limit_is_413(single: Server, tmp_path: Path) -> None:
    trace = tmp_path / "trace"
    with RawConnection(single.port) as upload:
        upload.send(f"POST /sleep.php?trace={trace} HTTP/1.1\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n".encode())
        chunk = b"%x\r\n" % _MIB + b"x" * _MIB + b"\r\n"
        try:
            for _ in range(24):
                upload.send(chunk)
        except OSError:
            pass  # the server may close as soon as it has answered
        status = upload.read_response().status
    assert status == 413
    assert not trace.exists()


def test_a_client_that_stops_sending_its_body_gets_408(own_asgi: ServerFactory, tmp_path: Path) -> None:
    options = {"request_body_timeout_s": 0.3}
    server = own_asgi("granian", {"root": str(SCRIPTS), "options": options, "runtime": {"num_threads": 1}})
    trace = tmp_path / "trace"
    with RawConnection(server.port) as upload:
        upload.send(f"POST /sleep.php?trace={trace} HTTP/1.1\r\nHost: a\r\nContent-Length: {_MIB}\r\n\r\n".encode())
        start = time.monotonic()
        assert upload.read_response().status == 408
        assert time.monotonic() - start < 4
    assert not trace.exists()


def test_steady_dribbling_below_the_timeout_is_no_timeout(own_asgi: ServerFactory) -> None:
    options = {"request_body_timeout_s": 1.0}
    server = own_asgi("granian", {"root": str(SCRIPTS), "options": options, "runtime": {"num_threads": 1}})
    with _open_upload(server, 8, b"") as upload:
        for _ in range(8):
            upload.send(b"x")
            time.sleep(0.25)  # the pace of the client is what is tested
        assert upload.read_response().body.startswith(b"8 ")


@pytest.mark.log_noise("(?i)spool|disk|space")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_a_full_spool_disk_refuses_the_upload_with_503_and_the_server_lives(
    own_server: ServerFactory, small_disk: Path
) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--no-compress", env={"HOWDAH_SPOOL_DIR": str(small_disk)})
    answer = server.post("/large_request.php", content=b"x" * (8 * _MIB), headers={"content-type": "a/b"})
    assert answer.status_code == 503
    assert "retry-after" in answer.headers
    server.wait_for_log("(?i)spool")
    assert _answers_quickly(server) < 1


@pytest.mark.log_noise("(?i)spool|disk|space")
@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk needs root")
def test_with_a_full_spool_disk_a_response_waits_for_its_reader(own_server: ServerFactory, small_disk: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--no-compress", env={"HOWDAH_SPOOL_DIR": str(small_disk)})
    size = 100 * _MIB  # more than the spools' memory and the disk together
    with RawConnection(server.port, timeout_s=30) as download:
        download.send(f"GET /download.php?bytes={size} HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n".encode())
        assert len(download.read_response().body) == size
    assert _answers_quickly(server) < 1


def test_without_request_buffering_the_script_reads_while_the_client_sends(
    own_server: ServerFactory, tmp_path: Path
) -> None:
    # With POST PHP itself reads the body before the script begins (enable_post_data_reading).
    server = own_server(SCRIPTS, "--num-threads", "1", "--no-request-buffering")
    trace = tmp_path / "trace"
    with RawConnection(server.port) as upload:
        upload.send(
            f"PUT /streamed_input.php?trace={trace} HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 200000\r\n"
            "Connection: close\r\n\r\n".encode()
        )
        upload.send(b"x" * 100_000)
        wait_until(trace.exists, "the script to read the first piece")
        upload.send(b"x" * 100_000)
        assert upload.read_response().body == b"read=200000"


def test_without_request_buffering_many_uploads_arrive_whole(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "2", "--no-request-buffering")
    body = b"y" * 3_000_000

    def upload(_: int) -> bytes:
        return get(server.port, "/large_request.php", headers=("Content-Type: a/b",), method="POST", body=body).body

    assert all(answer.startswith(b"3000000 ") for answer in run_parallel(upload, 8))


def test_without_request_buffering_a_truncated_body_is_marked(own_server: ServerFactory, tmp_path: Path) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1", "--no-request-buffering")
    with RawConnection(server.port) as upload:
        upload.send(
            b"POST /streamed_input.php HTTP/1.1\r\nHost: a\r\nContent-Type: a/b\r\nContent-Length: 200000\r\n\r\n"
        )
        upload.send(b"x" * 1000)
    assert _answers_quickly(server) < 2


def test_fifty_silent_connections_hold_no_thread(own_server: ServerFactory) -> None:
    server = own_server(SCRIPTS, "--num-threads", "1")
    connections = [RawConnection(server.port) for _ in range(50)]
    try:
        assert _answers_quickly(server) < 1
    finally:
        for connection in connections:
            connection.close()
