"""Changes roles, restarts, kills, wipes and recycles on a running Runtime, and judges every answer; prints JSON.

    python life_storm.py SECONDS SEED FOLDER

The same events as in tests/unit/runtime/test_lifecycle_model_threads.py, on real PHP and without waiting for each.
"""

from __future__ import annotations

import json
import logging
import random
import sys
import threading
import time
from collections import Counter
from pathlib import Path

from howdah import HowdahError, Request, Runtime, Worker
from howdah.config.model import SiteConfig
from howdah.engine.native import native

CLIENTS, THREADS, MAX_THREADS = 8, 8, 10
ANSWER = "<?php\nfunction answer(): void {\n if (isset($_GET['spin'])) { for (;;); }\n usleep(300);\n echo '%s ', $_GET['i'];\n}\n"
CLASSIC = ANSWER + "answer();\n"
LOOP = ANSWER + "while (frankenphp_handle_request(static fn() => answer()));\n"


class Storm:
    """A runtime, its clients and those who disturb it."""

    def __init__(self, seconds: float, seed: int, folder: Path) -> None:
        for name, text in (("plain", CLASSIC), ("shop", LOOP), ("blog", LOOP)):
            (folder / f"{name}.php").write_text(text % name)
        self.seed = seed
        self.end = time.monotonic() + seconds
        self.site = SiteConfig(root=str(folder))
        self.runtime = Runtime(
            num_threads=THREADS,
            max_threads=MAX_THREADS,
            max_requests=40,
            workers=tuple(Worker(str(folder / f"{name}.php"), num=2, name=name) for name in ("shop", "blog")),
            php_ini={"log_errors": "0"},
        )
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []
        self._lock = threading.Lock()

    def count(self, what: str) -> None:
        with self._lock:
            self.counts[what] += 1

    def client(self, number: int) -> None:
        choice = random.Random(self.seed * 1000 + number)
        while time.monotonic() < self.end:
            name = choice.choice(("plain", "shop", "blog"))
            serial = choice.randrange(10**9)
            spins = choice.random() < 0.01
            target = f"/{name}.php?i={serial}" + ("&spin" if spins else "")
            answer = self.runtime.handle(Request(target=target.encode(), headers=((b"host", b"a"),), site=self.site))
            expected = (503, None) if spins else (200, f"{name} {serial}".encode())
            if answer.status != expected[0] or expected[1] not in {None, answer.body}:
                self.wrong.append(f"{target}: {answer.status} {answer.body[:200]!r}")
            self.count("killed" if spins else "answered")

    def kill(self) -> None:
        """End what spins, and nothing else: the rest must go on whatever happens."""
        while time.monotonic() < self.end + 10 and not self.over.is_set():
            time.sleep(0.005)
            for slot in range(MAX_THREADS):
                info = native.slot_info(slot)
                if info["current"].endswith("&spin") and info["request_id"]:
                    native.thread_kill(slot, info["request_id"], "for the test")

    def change_roles(self) -> None:
        choice = random.Random(self.seed)
        crew = self.runtime._crew
        assert crew is not None
        while time.monotonic() < self.end:
            time.sleep(choice.random() * 0.01)
            thread = choice.choice(crew.fleet.threads)
            if crew.fleet.assign(thread, choice.choice((*crew.pools(), None))):
                self.count("role")

    def restart(self) -> None:
        choice = random.Random(self.seed + 1)
        while time.monotonic() < self.end:
            time.sleep(choice.random() * 0.3)
            try:
                self.runtime.restart_workers()
                self.count("restart")
            except HowdahError as error:
                self.wrong.append(f"restart: {error!r}")

    def wipe(self) -> None:
        crew = self.runtime._crew
        assert crew is not None
        while time.monotonic() < self.end and crew.keeper is not None:
            time.sleep(0.7)
            self.count("wipe" if crew.keeper.wipe() else "wipe put off")

    def run(self) -> dict[str, object]:
        self.runtime.start()
        self.over = threading.Event()
        clients = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        killer = threading.Thread(target=self.kill)
        others = [threading.Thread(target=work) for work in (self.change_roles, self.restart, self.wipe)]
        for thread in (killer, *clients, *others):
            thread.start()
        for thread in (*clients, *others):
            thread.join()
        self.over.set()
        killer.join()
        numbers = self.runtime.statistics()
        alive = {thread.slot: thread.state for thread in numbers.threads}
        stopped = self.runtime.stop(10)
        return {
            "counts": self.counts,
            "wrong": self.wrong[:20],
            "open": numbers.open,
            "recycles": numbers.recycles,
            "stuck": numbers.stuck,
            "alive": alive,
            "stopped": stopped,
            "left": [thread.name for thread in threading.enumerate() if thread.name.startswith("php-")],
        }


if __name__ == "__main__":
    logging.basicConfig(level=logging.WARNING)
    print(json.dumps(Storm(float(sys.argv[1]), int(sys.argv[2]), Path(sys.argv[3])).run()))  # noqa: T201
