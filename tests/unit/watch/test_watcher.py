"""The watcher on real files, by inotify and by polling."""

from __future__ import annotations

import logging
import os
import queue
import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import watchfiles

from howdah.errors import ConfigError
from howdah.watch import watcher
from howdah.watch.backends import file_system, is_limit, silent_file_system
from howdah.watch.files import WatchedFiles
from howdah.watch.patterns import parse_pattern
from howdah.watch.watcher import Watcher, WatchGroup

SOURCES = Path(__file__).resolve().parents[3] / "src"
QUIET_S = 0.7  # longer than the debounce and a beat of the source


class Calls:
    """Remembers the calls of a group."""

    def __init__(self) -> None:
        self.changes: queue.Queue[frozenset[str]] = queue.Queue()

    def __call__(self, changed: frozenset[str]) -> None:
        self.changes.put(changed)

    def next(self, timeout_s: float = 5.0) -> set[str]:
        return set(self.changes.get(timeout=timeout_s))

    def none_within(self, seconds: float) -> bool:
        try:
            self.changes.get(timeout=seconds)
        except queue.Empty:
            return True
        return False


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "app" / "sub").mkdir(parents=True)
    (tmp_path / "app" / "index.php").write_text("one")
    (tmp_path / "app" / "sub" / "page.php").write_text("one")
    return Path(os.path.realpath(tmp_path))


@pytest.fixture
def running() -> Iterator[Any]:
    started: list[Watcher] = []

    def run(*groups: WatchGroup, poll: bool | None = None) -> Watcher:
        made = Watcher(groups, poll=poll)
        assert made.start()
        started.append(made)
        return made

    yield run
    for made in started:
        assert made.stop(5.0)
    assert not [thread.name for thread in threading.enumerate() if thread.name.startswith("howdah-watch")]


class TestWhatIsReported:
    @pytest.mark.parametrize("poll", [False, True])
    def test_a_written_file(self, running: Any, folder: Path, poll: bool) -> None:
        calls = Calls()
        running(WatchGroup([f"{folder}/app/**/*.php"], calls), poll=poll)
        (folder / "app" / "index.php").write_text("two!")
        assert calls.next() == {f"{folder}/app/index.php"}

    @pytest.mark.parametrize("poll", [False, True])
    def test_a_new_and_a_removed_file(self, running: Any, folder: Path, poll: bool) -> None:
        calls = Calls()
        running(WatchGroup([f"{folder}/app/**/*.php"], calls), poll=poll)
        (folder / "app" / "new.php").write_text("x")
        assert calls.next() == {f"{folder}/app/new.php"}
        (folder / "app" / "new.php").unlink()
        assert calls.next() == {f"{folder}/app/new.php"}

    def test_an_associated_event_triggers_the_watcher(self, running: Any, folder: Path) -> None:
        """Editors write a temporary file and move it over the old one."""
        calls = Calls()
        running(WatchGroup([f"{folder}/app/index.php"], calls))
        temporary = folder / "app" / ".index.php.swp"
        temporary.write_text("three")
        temporary.replace(folder / "app" / "index.php")
        assert calls.next() == {f"{folder}/app/index.php"}

    def test_files_of_a_folder_that_is_moved_in_and_out(self, running: Any, folder: Path) -> None:
        calls = Calls()
        running(WatchGroup([f"{folder}/app/**/*.php"], calls))
        (folder / "elsewhere" / "deep").mkdir(parents=True)
        (folder / "elsewhere" / "deep" / "x.php").write_text("x")
        (folder / "elsewhere").rename(folder / "app" / "here")
        assert calls.next() == {f"{folder}/app/here/deep/x.php"}
        shutil.move(folder / "app" / "here", folder / "elsewhere")
        assert calls.next() == {f"{folder}/app/here/deep/x.php"}

    def test_a_folder_that_is_replaced_is_watched_on(self, running: Any, folder: Path) -> None:
        calls = Calls()
        running(WatchGroup([f"{folder}/app/**/*.php"], calls))
        (folder / "app").rename(folder / "old")
        (folder / "app").mkdir()
        (folder / "app" / "fresh.php").write_text("x")
        expected = {f"{folder}/app/{name}" for name in ("fresh.php", "index.php", "sub/page.php")}
        seen = calls.next()
        while not expected <= seen:
            seen |= calls.next()
        (folder / "app" / "fresh.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/fresh.php"}

    def test_a_folder_that_comes_later(self, running: Any, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        calls = Calls()
        with caplog.at_level(logging.WARNING, "howdah.watch"):
            running(WatchGroup([f"{folder}/later/**/*.php"], calls))
        assert "does not exist" in caplog.text
        (folder / "later").mkdir()
        (folder / "later" / "a.php").write_text("x")
        assert calls.next() == {f"{folder}/later/a.php"}

    def test_one_call_for_many_changes_at_once(self, running: Any, folder: Path) -> None:
        calls = Calls()
        running(WatchGroup([f"{folder}/app"], calls))
        names = {f"{folder}/app/sub/file{number}.php" for number in range(50)}
        for name in names:
            Path(name).write_text("x")
        assert calls.next() == names
        assert calls.none_within(QUIET_S)

    def test_a_link_in_the_watched_path_is_resolved(self, running: Any, folder: Path) -> None:
        (folder / "current").symlink_to("app")
        calls = Calls()
        running(WatchGroup([f"{folder}/current/**/*.php"], calls))
        (folder / "app" / "index.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/index.php"}


class TestWhatIsNotReported:
    def test_no_change_of_content(self, running: Any, folder: Path) -> None:
        """Owner and permissions (the reference's event type), links (its path type), folders, foreign files."""
        calls = Calls()
        running(WatchGroup([f"{folder}/app/**/*.php"], calls))
        page = folder / "app" / "index.php"
        page.chmod(0o600)
        os.chown(page, os.getuid(), os.getgid())
        page.read_text()
        (folder / "app" / "link.php").symlink_to("index.php")
        (folder / "app" / "empty").mkdir()
        (folder / "app" / "notes.txt").write_text("x")
        assert calls.none_within(QUIET_S)
        page.write_text("and now a change")
        assert calls.next() == {str(page)}

    def test_what_is_deeper_than_the_pattern(self, running: Any, folder: Path) -> None:
        calls = Calls()
        running(WatchGroup([f"{folder}/app/*.php"], calls))
        (folder / "app" / "sub" / "page.php").write_text("changed")
        (folder / "app" / "index.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/index.php"}


class TestGroups:
    def test_only_groups_that_match_are_called_in_their_order(self, running: Any, folder: Path) -> None:
        order: list[str] = []
        done = threading.Event()

        def end(_: frozenset[str]) -> None:
            order.append("all")
            done.set()

        groups = [
            WatchGroup(["app/*.php"], lambda _: order.append("pages"), "pages", str(folder)),
            WatchGroup(["app/**/*.twig"], lambda _: order.append("templates"), "templates", str(folder)),
            WatchGroup([".", "app/*.php"], end, "all", str(folder)),
        ]
        running(*groups)
        (folder / "app" / "index.php").write_text("changed")
        assert done.wait(5)
        assert order == ["pages", "all"]

    def test_each_group_gets_its_own_files(self, running: Any, folder: Path) -> None:
        pages, templates = Calls(), Calls()
        running(WatchGroup([f"{folder}/app/*.php"], pages), WatchGroup([f"{folder}/app/*.twig"], templates))
        (folder / "app" / "index.php").write_text("changed")
        (folder / "app" / "page.twig").write_text("changed")
        assert pages.next() == {f"{folder}/app/index.php"}
        assert templates.next() == {f"{folder}/app/page.twig"}

    def test_a_callback_that_fails_stops_nothing(
        self, running: Any, folder: Path, caplog: pytest.LogCaptureFixture
    ) -> None:
        calls = Calls()

        def fail(_: frozenset[str]) -> None:
            raise RuntimeError("restart failed")

        running(WatchGroup([f"{folder}/app"], fail, "api"), WatchGroup([f"{folder}/app"], calls))
        for text in ("two", "three!"):
            (folder / "app" / "index.php").write_text(text)
            assert calls.next() == {f"{folder}/app/index.php"}
        assert "what follows a change of the files of api failed" in caplog.text
        assert "restart failed" in caplog.text

    def test_what_changes_during_a_callback_comes_in_the_next_round(self, running: Any, folder: Path) -> None:
        calls = Calls()
        entered, leave = threading.Event(), threading.Event()

        def slow(changed: frozenset[str]) -> None:
            calls(changed)
            entered.set()
            assert leave.wait(5)

        running(WatchGroup([f"{folder}/app/*.php"], slow))
        (folder / "app" / "index.php").write_text("first")
        assert entered.wait(5)
        (folder / "app" / "second.php").write_text("x")
        (folder / "app" / "third.php").write_text("x")
        leave.set()
        assert calls.next() == {f"{folder}/app/index.php"}
        assert calls.next() == {f"{folder}/app/second.php", f"{folder}/app/third.php"}

    def test_mistakes_are_told_before_anything_starts(self) -> None:
        with pytest.raises(ConfigError, match="empty"):
            Watcher([WatchGroup([""], Calls())])
        with pytest.raises(ConfigError, match="no patterns"):
            Watcher([WatchGroup([], Calls(), "api")])


class TestLog:
    def test_lines_of_the_reference(self, folder: Path, caplog: pytest.LogCaptureFixture) -> None:
        calls = Calls()
        with caplog.at_level(logging.DEBUG, "howdah.watch"):
            made = Watcher([WatchGroup([f"{folder}/app"], calls)])
            assert made.start()
            (folder / "app" / "index.php").write_text("changed")
            calls.next()
            assert made.stop()
        lines = [(record.levelname, record.getMessage()) for record in caplog.records if record.name == "howdah.watch"]
        assert lines == [
            ("DEBUG", f"watching {folder}/app"),
            ("INFO", f"filesystem changes detected: {folder}/app/index.php"),
            ("DEBUG", "stopping watcher"),
        ]


class TestTrouble:
    def test_stop_is_bounded_while_a_callback_blocks(self, folder: Path) -> None:
        entered, leave = threading.Event(), threading.Event()

        def block(_: frozenset[str]) -> None:
            entered.set()
            leave.wait(10)

        made = Watcher([WatchGroup([f"{folder}/app"], block)])
        assert made.start()
        (folder / "app" / "index.php").write_text("changed")
        assert entered.wait(5)
        assert not made.stop(0.1)
        leave.set()
        assert made.stop(5.0)

    def test_stop_before_start_does_nothing(self, folder: Path) -> None:
        assert Watcher([WatchGroup([str(folder)], Calls())]).stop()

    def test_a_source_that_dies_is_replaced_and_nothing_is_missed(
        self, running: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        real, deadly = watchfiles.watch, threading.Event()

        def dying(*paths: str, **options: Any) -> Iterator[Any]:
            for batch in real(*paths, **options):
                if deadly.is_set():
                    deadly.clear()
                    (folder / "app" / "unseen.php").write_text("x")
                    raise RuntimeError("the source died")
                yield batch

        monkeypatch.setattr("howdah.watch.backends.watch", dying)
        calls = Calls()
        running(WatchGroup([f"{folder}/app"], calls))
        deadly.set()
        assert calls.next() == {f"{folder}/app/unseen.php"}
        assert "watcher was closed prematurely, retrying... (the source died)" in caplog.text

    def test_a_source_that_keeps_dying_is_given_up_for_polling(
        self, running: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        tries: list[str] = []

        def dead(*paths: str, **options: Any) -> Iterator[Any]:
            tries.extend(paths)
            raise OSError("no such luck")

        monkeypatch.setattr("howdah.watch.backends.watch", dead)
        monkeypatch.setattr(watcher, "_RETRY_S", 0.0)
        calls = Calls()
        made = running(WatchGroup([f"{folder}/app"], calls))
        assert made.is_polling
        assert len(tries) == 6
        assert caplog.text.count("watcher was closed prematurely, retrying... (no such luck)") == 5
        assert f"giving up watching {folder}/app by the kernel (no such luck): the files are polled" in caplog.text
        (folder / "app" / "index.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/index.php"}

    def test_a_limit_of_the_kernel_leads_to_polling_at_once(
        self, running: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def limited(*paths: str, **options: Any) -> Iterator[Any]:
            raise OSError("OS file watch limit reached. about [...]")

        monkeypatch.setattr("howdah.watch.backends.watch", limited)
        calls = Calls()
        made = running(WatchGroup([f"{folder}/app"], calls))
        assert made.is_polling
        assert "fs.inotify.max_user_watches is" in caplog.text
        assert "sysctl fs.inotify.max_user_watches=524288" in caplog.text
        (folder / "app" / "index.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/index.php"}

    def test_folders_that_may_not_be_read_are_left_out(
        self, running: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        real = watchfiles.watch

        def refusing(*paths: str, ignore_permission_denied: bool, **options: Any) -> Iterator[Any]:
            if not ignore_permission_denied:
                raise PermissionError("/app/secret")
            yield from real(*paths, ignore_permission_denied=True, **options)

        monkeypatch.setattr("howdah.watch.backends.watch", refusing)
        calls = Calls()
        made = running(WatchGroup([f"{folder}/app"], calls))
        assert not made.is_polling
        assert f"not everything below {folder}/app can be watched: /app/secret" in caplog.text
        (folder / "app" / "index.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/index.php"}

    @pytest.mark.parametrize(("limit", "value"), [("max_inotify_watches", 1), ("max_inotify_instances", 0)])
    def test_real_limits_of_the_kernel_are_recognised(self, folder: Path, limit: str, value: int) -> None:
        """In a user namespace of its own, which has limits of its own."""
        script = (
            "import sys, logging; logging.basicConfig(); sys.path.insert(0, sys.argv[1])\n"
            "from howdah.watch.watcher import Watcher, WatchGroup\n"
            "watcher = Watcher([WatchGroup([sys.argv[2]], print)])\n"
            "print(watcher.start(), watcher.is_polling, watcher.stop())\n"
        )
        shell = f'echo {value} > /proc/sys/user/{limit} && exec "$0" -c "$@"'
        command = ["unshare", "-r", "sh", "-c", shell, sys.executable, script, str(SOURCES), str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=30)
        except FileNotFoundError:
            pytest.skip("unshare is missing")
        if "unshare" in done.stderr or "cannot create" in done.stderr or "Permission denied" in done.stderr:
            pytest.skip(f"no user namespaces here: {done.stderr.strip()}")
        assert done.stdout == "True True True\n", done.stderr
        assert "so they are polled" in done.stderr


class TestWatchedFiles:
    def test_many_hints_at_once_lead_to_a_look_at_everything(self, folder: Path) -> None:
        files = WatchedFiles([parse_pattern(f"{folder}/app")])
        files.look()
        (folder / "app" / "index.php").write_text("changed")
        assert files.follow(f"/nowhere/{number}" for number in range(2000)) == {f"{folder}/app/index.php"}

    def test_a_file_that_becomes_a_link_has_changed(self, folder: Path) -> None:
        files = WatchedFiles([parse_pattern(f"{folder}/app")])
        assert files.look() == {f"{folder}/app/index.php", f"{folder}/app/sub/page.php"}
        page = folder / "app" / "index.php"
        page.unlink()
        page.symlink_to("sub/page.php")
        assert files.follow([str(page)]) == {str(page)}
        assert files.follow([str(page)]) == set()

    def test_nested_folders_are_read_once(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        read: list[str] = []
        real = os.scandir

        def counting(path: str) -> Any:
            read.append(path)
            return real(path)

        monkeypatch.setattr(os, "scandir", counting)
        WatchedFiles([parse_pattern(f"{folder}/app"), parse_pattern(f"{folder}/app/sub/**/*.php")]).look()
        assert sorted(read) == [f"{folder}/app", f"{folder}/app/sub"]


class TestFileSystems:
    MOUNTS = (
        "22 27 0:21 / / rw,relatime - ext4 /dev/sda1 rw\n"
        "30 22 0:40 / /srv rw shared:1 - nfs4 host:/x rw\n"
        "31 22 0:41 / /srv/local\\040disk rw - xfs /dev/sdb rw\n"
        "32 22 0:42 / /app rw - overlay overlay rw\n"
        "33 22 0:43 / /app rw - fuse.sshfs me@there rw\n"
        "34 22 0:44 / /box rw - fuse.fuse-overlayfs box rw\n"
    )

    @pytest.mark.parametrize(
        ("folder", "kind", "silent"),
        [
            ("/home/x", "ext4", False),
            ("/srv", "nfs4", True),
            ("/srv/app/src", "nfs4", True),
            ("/srv/local disk/app", "xfs", False),
            ("/srv2", "ext4", False),
            ("/app/x", "fuse.sshfs", True),
            ("/box", "fuse.fuse-overlayfs", False),
        ],
    )
    def test_the_mount_that_holds_a_folder(self, tmp_path: Path, folder: str, kind: str, silent: bool) -> None:
        mounts = tmp_path / "mountinfo"
        mounts.write_text(self.MOUNTS)
        assert file_system(folder, mounts) == kind
        assert silent_file_system(folder, mounts) == (kind if silent else None)

    def test_without_a_list_of_mounts_nothing_is_known(self, tmp_path: Path) -> None:
        assert file_system("/srv", tmp_path / "none") == ""
        assert silent_file_system("/srv", tmp_path / "none") is None

    def test_a_silent_file_system_is_polled(
        self, running: Any, folder: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
    ) -> None:
        def silent(path: str) -> str | None:
            return "virtiofs" if path.endswith("/sub") else None

        monkeypatch.setattr(watcher, "silent_file_system", silent)
        calls = Calls()
        with caplog.at_level(logging.INFO, "howdah.watch"):
            running(WatchGroup([f"{folder}/app/*.php", f"{folder}/app/sub"], calls))
        assert f"{folder}/app/sub is on virtiofs" in caplog.text
        (folder / "app" / "sub" / "page.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/sub/page.php"}
        (folder / "app" / "index.php").write_text("changed")
        assert calls.next() == {f"{folder}/app/index.php"}

    @pytest.mark.parametrize(
        ("text", "expected"),
        [
            ('OS file watch limit reached. about ["/x"]', True),
            ("Error creating recommended watcher: Too many open files (os error 24)", True),
            ("No such file or directory", False),
        ],
    )
    def test_texts_of_limits(self, text: str, expected: bool) -> None:
        assert is_limit(text) is expected
