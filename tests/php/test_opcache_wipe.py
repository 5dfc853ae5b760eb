"""OPcache is wiped only while no PHP thread is inside a request."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.php.harness.commands import python

_SETUP = """
import json, sys, threading, time
from pathlib import Path
from howdah import Request, Runtime
from howdah.config.model import SiteConfig
from howdah.engine.native import native
from howdah.runtime.site import Site
folder = Path(sys.argv[1]) if len(sys.argv) > 1 else Path.cwd()
site = Site(SiteConfig(root=str(folder)))
def request(target):
    return Request(target=target, site=site)
"""

_LIBRARY = "<?php class Part{n} {{ const TEXT = 'part {n}'; public static function text() {{ return self::TEXT; }} }}"
_WORK = "<?php require __DIR__ . \"/part{$_GET['n']}.php\"; $class = \"Part{$_GET['n']}\"; usleep(200); echo $class::text();"


def application(folder: Path) -> None:
    """Write a script that works with one of several classes, and one that resets OPcache."""
    for number in range(20):
        (folder / f"part{number}.php").write_text(_LIBRARY.format(n=number))
    (folder / "work.php").write_text(_WORK)
    (folder / "reset.php").write_text("<?php echo opcache_reset() ? 'reset' : 'refused';")
    (folder / "slow.php").write_text("<?php usleep(1500000); echo 'slow';")


def run(folder: Path, source: str, *, timeout_s: float = 60) -> Any:
    """Run a program with the folder as its site and give what it prints as JSON."""
    result = python(_SETUP.replace("Path.cwd()", f"Path({str(folder)!r})") + source, timeout_s=timeout_s)
    assert result.returncode == 0, result.stderr + result.stdout
    return json.loads(result.stdout)


def test_wipes_under_load_break_nothing_and_lose_nothing(tmp_path: Path) -> None:
    application(tmp_path)
    seen = run(
        tmp_path,
        """
runtime = Runtime(num_threads=4, php_ini={"opcache.file_update_protection": "0"})
runtime.start()
wrong, served, stop = [], 0, threading.Event()
def load(first):
    global served
    number = first
    while not stop.is_set():
        number = (number + 7) % 20
        answer = runtime.handle(request(b"/work.php?n=%d" % number))
        if answer.status != 200 or answer.body != b"part %d" % number:
            wrong.append([answer.status, answer.body.decode(errors="replace")])
        served += 1
threads = [threading.Thread(target=load, args=(n,)) for n in range(6)]
for thread in threads:
    thread.start()
keeper = runtime._crew.keeper
for _ in range(40):
    runtime.handle(request(b"/reset.php"))
    keeper.wipe()
    time.sleep(0.01)
status = native.opcache(False)
stop.set()
for thread in threads:
    thread.join()
statistics = runtime.statistics()
print(json.dumps([wrong[:3], served, keeper.wipes, status["manual_restarts"], status["enabled"], statistics.open]))
assert runtime.stop()
""",
    )
    wrong, served, wipes, restarts, enabled, still_open = seen
    assert wrong == []
    assert served > 200
    assert wipes >= 35
    assert restarts >= 35
    assert enabled
    assert still_open == 0


def test_a_reset_is_followed_by_a_wipe_without_anybody_asking(tmp_path: Path) -> None:
    application(tmp_path)
    seen = run(
        tmp_path,
        """
runtime = Runtime(num_threads=2)
runtime.start()
first = runtime.handle(request(b"/work.php?n=1")).body.decode()
runtime.handle(request(b"/reset.php"))
before = native.opcache(False)
deadline = time.monotonic() + 10
while runtime._crew.keeper.wipes == 0 and time.monotonic() < deadline:
    time.sleep(0.01)
after = native.opcache(False)
print(json.dumps([before["restart_pending"], after["restart_pending"], after["enabled"], after["manual_restarts"]]))
assert runtime.stop()
""",
    )
    assert seen == [True, False, True, 1]


def test_a_long_request_puts_the_wipe_off_and_holds_nobody_up_for_long(tmp_path: Path) -> None:
    application(tmp_path)
    seen = run(
        tmp_path,
        """
runtime = Runtime(num_threads=2)
runtime.start()
slow = threading.Thread(target=lambda: runtime.handle(request(b"/slow.php")))
slow.start()
while not any(native.slot_info(slot)["request_id"] for slot in (0, 1)):
    time.sleep(0.001)
runtime.handle(request(b"/reset.php"))
began = time.monotonic()
done = runtime._crew.keeper.wipe()
took = time.monotonic() - began
answer = runtime.handle(request(b"/work.php?n=3")).body.decode()
slow.join()
print(json.dumps([done, took, answer, runtime._crew.keeper.wipe()]))
assert runtime.stop()
""",
    )
    done, took, answer, done_later = seen
    assert done is False
    assert took < 1.2
    assert answer == "part 3"
    assert done_later is True
