from __future__ import annotations

import json
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from howdah.config.http import Log, LogField
from howdah.errors import ConfigError
from howdah.observe.access import AccessEntry
from howdah.observe.logs import Logs
from howdah.observe.text import escape, quote, to_json
from howdah.runtime.event import Event

log = logging.getLogger("howdah.test")


@pytest.fixture
def logs() -> Iterator[Logs]:
    root, ours = logging.getLogger(), logging.getLogger("howdah")
    levels = root.level, ours.level
    made = Logs()
    yield made
    made.close()
    root.setLevel(levels[0])
    ours.setLevel(levels[1])


class File:
    def __init__(self, folder: Path, logs: Logs, **fields: Any) -> None:
        self.path = folder / "server.log"
        self.log = Log(**{"output": str(self.path), "format": "json", **fields})
        self._logs = logs
        logs.configure([self.log])

    @property
    def text(self) -> str:
        assert self._logs.flush()
        return self.path.read_text()

    @property
    def records(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.text.splitlines()]


def test_events_keep_their_attributes(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs)
    log.info(Event("downscaling thread", thread=3, wait_time=1.5, worker="ä"))
    log.warning("plain %s", "text")
    first, second = file.records
    assert first.pop("ts") > 1_600_000_000
    assert list(first) == ["level", "logger", "msg", "thread", "wait_time", "worker"]
    assert first == {
        "level": "info",
        "logger": "howdah.test",
        "msg": "downscaling thread",
        "thread": 3,
        "wait_time": 1.5,
        "worker": "ä",
    }
    assert (second["level"], second["msg"]) == ("warn", "plain text")


def test_events_read_well_under_any_handler(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    log.info(Event("a thing", thread=3, path="/a b", worker="x", empty="", nested={"a": [1]}))
    assert caplog.messages == ['a thing thread=3 path="/a b" worker=x empty="" nested={"a": [1]}']


def test_context_cannot_replace_what_the_server_says(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs)
    log.info(Event.of("x", {"level": "fake", "msg": "fake", "ts": 0, "logger": "fake", "": 1}))
    (record,) = file.records
    assert (record["level"], record["msg"], record["level_"], record["msg_"]) == ("info", "x", "fake", "fake")
    assert record["ts"] > 0


def test_exceptions_are_one_record(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs)
    try:
        raise ValueError("bo\nom")
    except ValueError:
        log.exception("it failed")
    (record,) = file.records
    assert (record["msg"], record["error"]) == ("it failed", "ValueError: bo\nom")
    assert "Traceback" in record["stacktrace"]


def test_console_lines_cannot_be_forged(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs, format="console")
    log.info(Event("a\nb\x1b[1m\x9b", **{"k\n": "v\n2026-01-01 INFO fake: x"}))
    try:
        raise ValueError("x\n2026-01-01 00:00:00 INFO fake: line")
    except ValueError:
        log.exception("failed")
    first, *rest = file.text.splitlines()
    assert first.endswith(r' INFO howdah.test: a\nb\x1b[1m\x9b k\n="v\n2026-01-01 INFO fake: x"')
    assert all(line.startswith("    ") for line in rest[1:])


def test_what_json_does_not_know_is_shown(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs)
    circular: list[Any] = []
    circular.append(circular)
    log.info(Event("x", path=Path("/a"), circular=circular, text="a\u2028\x7f\ud800b"))
    (record,) = file.records
    assert (record["path"], record["circular"], record["text"]) == ("/a", "[[...]]", "a\u2028\x7f\ud800b")
    assert file.text.isprintable() is False
    assert file.text.rstrip("\n").isprintable()


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("plain é 漢", "plain é 漢"),
        ("a\\b", "a\\b"),
        ("\x00\t", "\\x00\\t"),
        ("\u202e", "\\u202e"),
        ("\ud800", "\\ud800"),
    ],
)
def test_escape(text: str, shown: str) -> None:
    assert escape(text) == shown
    assert json.loads(quote(text)) == text
    assert json.loads(to_json({"a": text})) == {"a": text}


def test_levels(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs, level="WARN")
    log.info("no")
    log.warning("yes")
    logging.getLogger("other.library").info("no")
    logging.getLogger("other.library").error("other")
    assert [record["msg"] for record in file.records] == ["yes", "other"]


def test_debug_shows_everything_of_ours(tmp_path: Path, logs: Logs) -> None:
    path = tmp_path / "a.log"
    logs.configure([Log(output=str(path), format="json")], debug=True)
    log.debug("ours")
    logging.getLogger("other.library").debug("theirs")
    assert logs.flush()
    assert [json.loads(line)["msg"] for line in path.read_text().splitlines()] == ["ours"]


def test_logs_choose_loggers(tmp_path: Path, logs: Logs) -> None:
    paths = tmp_path / "php.log", tmp_path / "rest.log"
    logs.configure(
        [
            Log(name="php", output=str(paths[0]), include=("howdah.php",)),
            Log(name="rest", output=str(paths[1]), exclude=("howdah.php",)),
        ]
    )
    logging.getLogger("howdah.php.deep").info("from php")
    logging.getLogger("howdah.phpx").info("from another")
    assert logs.flush()
    assert [path.read_text().split(": ")[1] for path in paths] == ["from php\n", "from another\n"]


def test_a_new_configuration_takes_the_place_of_the_old(tmp_path: Path, logs: Logs) -> None:
    old, new = tmp_path / "old.log", tmp_path / "new.log"
    handlers = len(logging.getLogger().handlers)
    logs.configure([Log(output=str(old))])
    log.info("one")
    logs.configure([Log(output=str(new)), Log(name="n", output="discard")])
    log.info("two")
    assert logs.flush()
    assert ("one" in old.read_text(), "two" in old.read_text(), "two" in new.read_text()) == (True, False, True)
    logs.close()
    assert len(logging.getLogger().handlers) == handlers


def test_a_wrong_configuration_changes_nothing(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs)
    (tmp_path / "file").write_text("")
    with pytest.raises(ConfigError, match=r"the log file .*/file/a.log cannot be written: Not a directory"):
        logs.configure([Log(output=str(tmp_path / "file" / "a.log"))])
    log.info("still here")
    assert file.records[0]["msg"] == "still here"


def test_fields_of_the_server_s_log_are_filtered_too(tmp_path: Path, logs: Logs) -> None:
    file = File(tmp_path, logs, fields=(LogField("secret", "replace", (("***",),)),))
    log.info(Event("x", secret="abc"))
    assert file.records[0]["secret"] == "***"


# -- access logs ------------------------------------------------------------------------------------


def entry() -> AccessEntry:
    made = AccessEntry(
        {"method": "GET", "raw_path": b"/a", "query_string": b"token=s", "http_version": "1.1", "headers": []}
    )
    made.status, made.is_complete = 200, True
    return made


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"format": "json"}, '"uri":"/a?token=s"'),
        ({"format": "console"}, "INFO http.log.access: remote=- method=GET host=- uri=/a?token=s status=200"),
        ({"format": "json", "fields": (LogField("uri", "query", (("replace", "token", "X"),)),)}, '"uri":"/a?token=X"'),
        ({"format": "console", "fields": (LogField("uri", "delete"),)}, "method=GET host=- status=200"),
        ({"format": "json", "name": "shop"}, '"logger":"http.log.access.shop"'),
    ],
)
def test_access_logs(tmp_path: Path, logs: Logs, fields: dict[str, Any], expected: str) -> None:
    path = tmp_path / "access.log"
    wanted = Log(output=str(path), **fields)
    sink = logs.access(wanted)
    assert logs.access(wanted) is sink
    sink.put(entry())
    assert logs.flush()
    assert expected in path.read_text()
    assert path.read_text().count("\n") == 1


def test_an_access_log_to_nowhere(logs: Logs) -> None:
    sink = logs.access(Log(output="discard"))
    assert not sink.is_wanted
    sink.put(entry())


def test_two_logs_may_share_a_file(tmp_path: Path, logs: Logs) -> None:
    path = str(tmp_path / "a.log")
    first, second = logs.access(Log(output=path)), logs.access(Log(output=path, name="b"))
    first.put(entry())
    second.put(entry())
    assert logs.flush()
    assert Path(path).read_text().count("\n") == 2
    assert logs.lost_lines == 0
