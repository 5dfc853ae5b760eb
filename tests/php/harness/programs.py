"""Small programs with a runtime of their own, whose findings come back as JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.php.harness.commands import python

_SETUP = """
import json, logging, os, sys, threading, time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from howdah import HowdahError, Request, Runtime, SiteConfig, Worker
from howdah.errors import ConfigError, WorkerBootError

folder = Path({folder!r})
site = SiteConfig(root=str(folder))

class Records(logging.Handler):
    def __init__(self):
        super().__init__(logging.DEBUG)
        self.lines = []
    def emit(self, record):
        self.lines.append(record.levelname + " " + record.getMessage())
    def having(self, *words):
        return [line for line in self.lines if all(word in line for word in words)]

records = Records()
logging.getLogger("howdah").addHandler(records)
logging.getLogger("howdah").setLevel(logging.DEBUG)

def get(runtime, target):
    answer = runtime.handle(Request(target=target.encode(), site=site))
    return answer.status, answer.body.decode()

def worker(file="app.php", **fields):
    return Worker(str(folder / file), **dict(num=1) | fields)

def until(condition, bound_s=10):
    deadline = time.monotonic() + bound_s
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come true"
        time.sleep(0.005)
"""


def run_program(folder: Path, source: str, *, code: int = 0, timeout_s: float = 40) -> Any:
    """Run a program on the scripts of a folder and give what it prints as JSON.

    The program knows ``folder``, ``site``, ``worker(file, **fields)``, ``get(runtime, target)``, ``until(condition)``
    and the log as ``records``.
    """
    result = python(_SETUP.replace("{folder!r}", repr(str(folder))) + source, timeout_s=timeout_s)
    assert result.returncode == code, result.stderr + result.stdout
    return json.loads(result.stdout) if result.stdout.strip() else None
