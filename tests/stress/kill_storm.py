"""Kills running requests at random moments and judges every other request and connection; prints one JSON object.

    python kill_storm.py KILLS SEED PEER-PORT

Run in the folder of test scripts. Requests are short (1 ms) or blocked on a socket. Killers read which request a slot
runs, wait for a moment, and kill what they have read, in any stage; often that request is gone by then. Meanwhile other
threads open, use and close connections, so that descriptor numbers are used again at once.
"""

from __future__ import annotations

import contextlib
import json
import logging
import random
import socket
import sys
import threading
import time
from pathlib import Path
from typing import Any

from howdah import Request, Runtime
from howdah.config.model import SiteConfig
from howdah.engine.native import KILL_BY_CUTOFF, native
from howdah.runtime.runtime import _arguments
from howdah.runtime.site import Site

THREADS = 6
CLIENTS = 8
KILLERS = 2
CHURNERS = 2
BYSTANDERS = 20


class Storm:
    def __init__(self, kills: int, seed: int, port: int) -> None:
        self.wanted, self.seed, self.port = kills, seed, port
        self.runtime = Runtime(num_threads=THREADS, php_ini={"log_errors": "0"})
        self.site = Site(SiteConfig(root="."))
        self.stopping = threading.Event()
        self.intended: set[int] = set()
        self.lock = threading.Lock()
        self.kills = 0
        self.counts: dict[str, int] = {"answered": 0, "killed": 0, "churned": 0, "missed": 0, "traces": 0}
        self.wrong: list[str] = []

    def count(self, name: str) -> None:
        with self.lock:
            self.counts[name] += 1

    # -- requests ----------------------------------------------------------------------------------

    def client(self, number: int) -> None:
        choice = random.Random(self.seed * 1000 + number)
        serial = 0
        while not self.stopping.is_set():
            serial += 1
            self._one(choice, f"{number}x{serial}")

    def _one(self, choice: random.Random, token: str) -> None:
        how = choice.choice(["computing", "sleeping", "polling", "polling"])
        # Every fourth wait ends by a kill only; while the storm ends, nobody would come to kill it.
        ms = choice.randrange(4) if self.wanted - self.kills < 50 or choice.random() < 0.75 else -1
        target = f"/kill_target.php?how={how}&token={token}&port={self.port}&ms={ms}".encode()
        sync = self.runtime._sync
        assert sync is not None
        channel = sync.channel()
        request = self.runtime.sites.native(self.site).request(
            channel, *_arguments(self.site, Request(target=target, site=self.site)), None
        )
        answer = sync.run(request, channel)
        if answer.status == 200 and answer.body == token.encode():
            self.count("answered")
        elif request.id in self.intended and answer.status == 503:
            self.count("killed")
        else:
            meant = request.id in self.intended
            self.wrong.append(f"{how} {ms}: {answer.status} {answer.body[:50]!r}, meant: {meant}")

    # -- kills -------------------------------------------------------------------------------------

    def killer(self, number: int) -> None:
        choice = random.Random(self.seed * 2000 + number)
        while self.kills < self.wanted:
            slot = choice.randrange(THREADS)
            running = native.slot_info(slot)["request_id"]
            if not running:
                time.sleep(0.0002)
                continue
            time.sleep(choice.random() * 0.002)
            self.intended.add(running)
            if native.thread_kill(slot, running, "storm", 503, choice.randint(1, KILL_BY_CUTOFF)):
                with self.lock:
                    self.kills += 1
            else:
                self.count("missed")

    def tracer(self) -> None:
        """Look at everything that runs, all the time; nobody may notice."""
        while not self.stopping.is_set():
            seen = sum(entry["backtrace"] is not None for entry in self.runtime.dump_threads())
            with self.lock:
                self.counts["traces"] += seen
            time.sleep(0.002)

    # -- connections -------------------------------------------------------------------------------

    def churn(self, number: int) -> None:
        choice = random.Random(self.seed * 3000 + number)
        with socket.socket() as listener:
            listener.bind(("127.0.0.1", 0))
            listener.listen(64)
            while not self.stopping.is_set():
                if choice.random() < 0.5:
                    ends = socket.socketpair()
                else:
                    out = socket.create_connection(listener.getsockname())
                    ends = (out, listener.accept()[0])
                time.sleep(choice.random() * 0.001)
                self._use(ends, "churn")
                for end in ends:
                    end.close()
                self.count("churned")

    def _use(self, ends: tuple[socket.socket, socket.socket], name: str) -> None:
        try:
            for one, other in (ends, ends[::-1]):
                one.sendall(b"ping")
                if other.recv(4) != b"ping":
                    self.wrong.append(f"{name}: a connection was cut")
        except OSError as error:
            self.wrong.append(f"{name}: {error}")

    # -- all of it ---------------------------------------------------------------------------------

    def run(self) -> dict[str, Any]:
        self.runtime.start()
        bystanders = [socket.socketpair() for _ in range(BYSTANDERS)]
        killers = [threading.Thread(target=self.killer, args=(number,)) for number in range(KILLERS)]
        others = [threading.Thread(target=self.client, args=(number,)) for number in range(CLIENTS)]
        others += [threading.Thread(target=self.churn, args=(number,)) for number in range(CHURNERS)]
        others.append(threading.Thread(target=self.tracer))
        before = _sockets()
        began = time.monotonic()
        for thread in (*others, *killers):
            thread.start()
        for thread in killers:
            while thread.is_alive():
                thread.join(1)
                for ends in bystanders:
                    self._use(ends, "bystander")
        self.stopping.set()
        self._let_go(others)
        for ends in bystanders:
            self._use(ends, "bystander")
        took_s = time.monotonic() - began
        statistics = self.runtime.statistics()
        leaked = _sockets() - before
        rss_kib = int(Path("/proc/self/statm").read_text().split()[1]) * 4
        return {
            **self.counts,
            "kills": self.kills,
            "wrong": self.wrong[:20],
            "n_wrong": len(self.wrong),
            "open": statistics.open,
            "lives": sum(thread.lives for thread in statistics.threads),
            "leaked": leaked,
            "rss_kib": rss_kib,
            "took_s": round(took_s, 1),
            "clean": self.runtime.stop(),
        }

    def _let_go(self, threads: list[threading.Thread]) -> None:
        """End the requests that wait for a kill."""
        while any(thread.is_alive() for thread in threads):
            for slot in range(THREADS):
                running = native.slot_info(slot)
                if running["request_id"] and running["since_s"] > 1:
                    self.intended.add(running["request_id"])
                    native.thread_kill(slot, running["request_id"], "the end", 503, KILL_BY_CUTOFF)
            time.sleep(0.05)


def _sockets() -> int:
    """Count the open sockets; waiting callers keep an eventfd each, which is no loss."""
    count = 0
    for entry in Path("/proc/self/fd").iterdir():
        with contextlib.suppress(FileNotFoundError):
            count += str(entry.readlink()).startswith("socket:")
    return count


if __name__ == "__main__":
    logging.getLogger("howdah").setLevel(logging.CRITICAL)
    print(json.dumps(Storm(int(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])).run()))  # noqa: T201
