"""Mistakes of an operator: one sentence each, with the place and the cure, and the right exit code; or the server goes on."""

from __future__ import annotations

import os
import re
import subprocess
from pathlib import Path

import httpx
import pytest

from howdah.admin.client import AdminClient
from tests.php.harness.ports import free_port
from tests.php.harness.server import HOWDAH, SCRIPTS, ServerFactory, clean_environment
from tests.php.harness.waiting import wait_until
from tests.unit.serve.certificates import write_pair

# Root may do everything, so it gives up what it would do it by. Nobody else has it.
_IS_ROOT = os.geteuid() == 0
_WITHOUT_FILES = ["setpriv", "--bounding-set=-dac_override,-dac_read_search"] if _IS_ROOT else []
_WITHOUT_PORTS = ["setpriv", "--bounding-set=-net_bind_service"] if _IS_ROOT else []

CONFIGURATION = {
    "unknown directive": (
        "localhost {\n\tphp_sever\n}\n",
        r"Caddyfile:2:2: there is no directive php_sever; did you mean php_server\? \(supported: abort, .*x_sendfile\)",
    ),
    "unknown option": (
        "{\n\tfrankenphp {\n\t\tnum_thread 3\n\t}\n}\n",
        r"Caddyfile:3:3: there is no option of frankenphp num_thread; did you mean num_threads\? \(supported: .*\)",
    ),
    "directive of another server": (
        "localhost {\n\treverse_proxy localhost:3000\n}\n",
        r"Caddyfile:2:2: reverse_proxy is not supported: mount a Python application .*, or put a proxy before Howdah .*",
    ),
    "unclosed brace": (
        "localhost {\n\thandle {\n\t\trespond ok\n",
        r"Caddyfile:2:9: this \{ is never closed; add a \} on a line of its own after the last line that belongs to it",
    ),
    "brace that closes nothing": (
        "localhost {\n\trespond ok\n}\n}\n",
        r"Caddyfile:4:1: this \} closes nothing; remove it, or add the \{ that it should close at the end of an earlier line",
    ),
    "too many arguments": (
        "localhost {\n\troot one two three\n}\n",
        r"Caddyfile:2:15: three is one too many for root; write it as root \[<matcher>\] <path>",
    ),
    "too few arguments": (
        "{\n\thttp_port\n}\n",
        r"Caddyfile:2:2: http_port needs a port",
    ),
    "duplicate site": (
        "http://a.test {\n}\nhttp://b.test, http://a.test {\n}\n",
        r"Caddyfile:3:16: the address http://a\.test belongs to the site at Caddyfile:1:1 already; join the sites or change one",
    ),
    "site where the admin API is": (
        "{\n\tadmin localhost:8090\n}\nhttp://a.test:8090 {\n}\n",
        r"Caddyfile:4:1: http://a\.test:8090 and the admin API both want :8090: give the site another port, or move .*",
    ),
    "missing certificate": (
        "a.test {\n\ttls /no/cert.pem /no/key.pem\n}\n",
        r"Caddyfile:1:1: certificate /no/cert\.pem does not exist; name the file that holds it",
    ),
    "key that does not match": (
        "a.test {\n\ttls one.crt two.key\n}\n",
        r"Caddyfile:1:1: key two\.key does not match certificate one\.crt; name the two of one pair",
    ),
    "missing root": (
        ":8080 {\n\troot none\n\tphp_server\n}\n",
        r"Caddyfile:3:2: document root '.*/none' does not exist; create it or name another folder",
    ),
    "unreadable root": (
        ":8080 {\n\troot closed\n\tphp_server\n}\n",
        r"Caddyfile:3:2: document root '.*/closed' is not readable; give this user permission to read and enter it",
    ),
    "circular import of a file": (
        "import Caddyfile\n",
        r"Caddyfile:1:1: this import goes round in a circle: Caddyfile -> Caddyfile; remove one of these imports",
    ),
    "circular import of snippets": (
        "(a) {\n\timport b\n}\n(b) {\n\timport a\n}\nlocalhost {\n\timport a\n}\n",
        r"Caddyfile:5:2: this import goes round in a circle: Caddyfile -> \(a\) -> \(b\) -> \(a\); remove one of these imports",
    ),
    "missing file to import": (
        "import none.conf\n",
        r"Caddyfile:1:8: .*none\.conf.*",
    ),
    "missing variable of a value": (
        "{\n\thttp_port {$PORT}\n}\n",
        r"Caddyfile:2:2: http_port needs a port \(not set on this line: \{\$PORT\}\)",
    ),
    "missing variable of an address": (
        "{$SITE} {\n\trespond ok\n}\n",
        r"Caddyfile:1:9: a site needs an address, such as localhost or :8080 \(not set on this line: \{\$SITE\}\)",
    ),
    "missing variable of the environment": (
        "localhost {\n\ttls {env.CERT} {env.KEY}\n}\n",
        r"Caddyfile:2:6: the environment variable CERT is not set",
    ),
}


def run(folder: Path, *before: str, command: str = "run") -> subprocess.CompletedProcess[str]:
    """Run a command in a folder, maybe through another one, until it ends by itself."""
    return subprocess.run(
        [*before, *HOWDAH, command],
        capture_output=True, text=True, check=False, timeout=30, cwd=folder, stdin=subprocess.DEVNULL,
        env=clean_environment({"XDG_DATA_HOME": str(folder / "data")}),
    )  # fmt: skip


def closed_folder(path: Path) -> None:
    path.mkdir()
    if _IS_ROOT:
        os.chown(path, 65534, 65534)
    path.chmod(0o700 if _IS_ROOT else 0)


@pytest.mark.parametrize(("text", "message"), CONFIGURATION.values(), ids=CONFIGURATION)
def test_a_mistake_in_the_configuration_is_one_sentence_and_exit_code_2(
    tmp_path: Path, text: str, message: str
) -> None:
    (tmp_path / "Caddyfile").write_text(text)
    if "closed" in text:
        closed_folder(tmp_path / "closed")
    if "one.crt" in text:
        write_pair(tmp_path, "one", "a.test")
        write_pair(tmp_path, "two", "a.test")
    for command in ("run", "validate"):
        result = run(tmp_path, *(_WITHOUT_FILES if "closed" in text else []), command=command)
        assert result.returncode == 2, result.stderr
        assert re.fullmatch(f"howdah: {message}\n", result.stderr), result.stderr
        assert result.stdout == ""


def test_a_configuration_that_may_not_be_read_is_exit_code_2(tmp_path: Path) -> None:
    file = tmp_path / "Caddyfile"
    file.write_text("localhost {\n}\n")
    if _IS_ROOT:
        os.chown(file, 65534, 65534)
    file.chmod(0o600 if _IS_ROOT else 0)
    result = run(tmp_path, *_WITHOUT_FILES)
    assert (result.returncode, result.stderr) == (2, "howdah: Caddyfile: cannot be read: Permission denied\n")


def test_a_port_without_permission_is_exit_code_1_and_names_the_cures(tmp_path: Path) -> None:
    if int(Path("/proc/sys/net/ipv4/ip_unprivileged_port_start").read_text()) <= 443:
        pytest.skip("everybody may use all ports here")
    (tmp_path / "Caddyfile").write_text("{\n\tadmin off\n}\nlocalhost {\n\trespond hello\n}\n")
    result = run(tmp_path, *_WITHOUT_PORTS)
    assert result.returncode == 1, result.stderr
    assert len(result.stderr.splitlines()) == 1
    assert re.match(r"howdah: .*(80|443).*http_port.*https_port.*setcap", result.stderr), result.stderr


@pytest.mark.parametrize(("limit", "value"), [("max_inotify_watches", 1), ("max_inotify_instances", 0)])
def test_where_the_kernel_watches_no_more_files_they_are_polled_and_the_server_goes_on(
    own_caddyfile: ServerFactory, tmp_path: Path, limit: str, value: int
) -> None:
    """In a user namespace of its own, which has limits of its own."""
    shell = f'echo {value} > /proc/sys/user/{limit} && exec "$@"'
    before = ["unshare", "-r", "sh", "-c", shell, "sh"]
    tried = subprocess.run([*before, "true"], capture_output=True, text=True, check=False)
    if tried.returncode != 0:
        pytest.skip(f"no user namespaces here: {tried.stderr.strip()}")
    worker = "<?php while (frankenphp_handle_request(function () { echo 'VERSION'; }));"
    (tmp_path / "worker.php").write_text(worker)
    (tmp_path / "index.php").write_text("<?php")
    (tmp_path / "below").mkdir()
    text = (
        "{\n admin off\n frankenphp {\n num_threads 2\n }\n}\n"
        f"http://127.0.0.1:PORT {{\n root {tmp_path}\n"
        f" php_server {{\n worker {{\n file {tmp_path}/worker.php\n num 1\n watch {tmp_path}/**/*.php\n }}\n }}\n}}\n"
    )
    server = own_caddyfile(text, tmp_path, before=before)
    assert server.get("/worker.php").text == "VERSION"
    server.wait_for_log(
        r"the kernel watches no more files .* so they are polled: fs\.inotify\.max_user_watches is .*"
        r"raise them with `sysctl fs\.inotify"
    )
    (tmp_path / "worker.php").write_text(worker.replace("VERSION", "changed"))
    wait_until(lambda: server.get("/worker.php").text == "changed", "the new code")


@pytest.mark.log_noise("admin request refused")
def test_an_admin_request_from_another_origin_is_refused_and_the_server_goes_on(
    own_caddyfile: ServerFactory, tmp_path: Path
) -> None:
    address = f"127.0.0.1:{free_port()}"
    text = f"{{\n admin {address}\n}}\nhttp://127.0.0.1:PORT {{\n root {SCRIPTS}\n php_server\n}}\n"
    server = own_caddyfile(text, SCRIPTS)
    answer = httpx.post(f"http://{address}/stop", headers={"Origin": "http://evil.example"}, trust_env=False)
    assert answer.status_code == 403
    assert re.search("origin http://evil.example; list it in origins of admin if it may ask", answer.json()["error"]), (
        answer.text
    )
    server.wait_for_log("admin request refused.*evil.example")
    assert server.get("/hello.php?i=1").text == "request 1"
    assert AdminClient(address).request("GET", "/readyz").body == b"ready\n"
