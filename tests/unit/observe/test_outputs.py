from __future__ import annotations

import os
import threading
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from howdah.observe import outputs
from howdah.observe.outputs import FileOutput, StreamOutput
from howdah.observe.writer import LogWriter


def rotated(folder: Path) -> list[str]:
    return [path.read_text() for path in sorted(folder.glob("a-*.log"))]


def test_lines_are_appended(tmp_path: Path) -> None:
    path = tmp_path / "sub" / "folder" / "a.log"
    path.parent.mkdir(parents=True)
    path.write_text("old\n")
    output = FileOutput(str(path))
    output.write([b"one\n", b"two\n"])
    output.write([])
    output.close()
    output.write([b"three\n"])
    output.close()
    assert path.read_text() == "old\none\ntwo\nthree\n"


def test_a_new_file_is_for_its_owner_only(tmp_path: Path) -> None:
    output = FileOutput(str(tmp_path / "new" / "a.log"))
    output.write([b"x\n"])
    output.close()
    assert (tmp_path / "new" / "a.log").stat().st_mode & 0o777 == 0o600


def test_files_are_rotated_at_the_end_of_a_line(tmp_path: Path) -> None:
    output = FileOutput(str(tmp_path / "a.log"), roll_size_bytes=10)
    output.write([b"1234\n", b"5678\n", b"9abc\n", b"a line larger than the file\n", b"x\n"])
    output.write([b"y\n"])
    output.close()
    assert rotated(tmp_path) == ["1234\n5678\n", "9abc\n", "a line larger than the file\n"]
    assert (tmp_path / "a.log").read_text() == "x\ny\n"
    assert output.lost == 0


def test_only_so_many_are_kept_and_nothing_else_is_touched(tmp_path: Path) -> None:
    for name in ("a-old.log", "a-2026.log", "ab-2026-01-01T00-00-00.000.log"):
        (tmp_path / name).write_text("mine")
    output = FileOutput(str(tmp_path / "a.log"), roll_size_bytes=2, roll_keep=2)
    for number in range(6):
        output.write([b"%d\n" % number])
    output.close()
    assert sorted(text for text in rotated(tmp_path) if text != "mine") == ["3\n", "4\n"]
    assert [(tmp_path / name).read_text() for name in ("a-old.log", "a-2026.log")] == ["mine", "mine"]


def test_old_ones_are_removed(tmp_path: Path) -> None:
    old = tmp_path / "a-2020-01-01T00-00-00.000.log"
    old.write_text("old")
    os.utime(old, (0, 0))
    output = FileOutput(str(tmp_path / "a.log"), roll_size_bytes=2, roll_keep_s=3600)
    for number in range(3):
        output.write([b"%d\n" % number])
    output.close()
    assert rotated(tmp_path) == ["0\n", "1\n"]


def test_a_file_that_was_moved_away_is_made_again(tmp_path: Path) -> None:
    path = tmp_path / "a.log"
    output = FileOutput(str(path))
    output.write([b"1\n"])
    path.rename(tmp_path / "moved")
    output.write([b"2\n"])
    path.unlink()
    output.write([b"3\n"])
    output.close()
    assert ((tmp_path / "moved").read_text(), path.read_text()) == ("1\n", "3\n")


class Disk:
    """A disk with so much room; the whole of a write, its beginning or nothing fits."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, room: int) -> None:
        self.room = room
        self._write = os.write
        monkeypatch.setattr("howdah.observe.outputs.os.write", self.write)
        monkeypatch.setattr("howdah.observe.outputs.os.writev", lambda fd, lines: self.write(fd, b"".join(lines)))

    def write(self, descriptor: int, data: bytes | memoryview) -> int:
        if descriptor == 2:
            return self._write(descriptor, data)
        if self.room <= 0:
            raise OSError(28, "No space left on device")
        count = self._write(descriptor, data[: self.room])
        self.room -= count
        return count


def test_a_full_disk_is_told_once_and_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    output = FileOutput(str(path))
    disk = Disk(monkeypatch, room=12)
    output.write([b"12345\n", b"67890\n", b"lost1\n"])
    output.write([b"lost2\n"])
    assert (output.lost, path.read_text()) == (2, "12345\n67890\n")
    assert (
        capfd.readouterr().err == f"howdah: the log {path} cannot be written, lines are lost: No space left on device\n"
    )
    disk.room = 1000
    output.write([b"again\n"])
    output.close()
    assert path.read_text() == "12345\n67890\nagain\n"
    assert capfd.readouterr().err == f"howdah: the log {path} can be written again; 2 lines were lost\n"
    assert output.lost == 2


def test_a_line_that_was_torn_does_not_spoil_the_next(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "a.log"
    output = FileOutput(str(path))
    disk = Disk(monkeypatch, room=8)
    output.write([b"12345\n", b"67890\n"])
    output.write([b"lost\n"])
    disk.room = 1000
    output.write([b"again\n"])
    output.close()
    assert path.read_text() == "12345\n67\nagain\n"
    assert output.lost == 2
    assert "2 lines were lost" in capfd.readouterr().err


def test_a_folder_that_is_gone_is_told(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "file").write_text("")
    output = FileOutput(str(tmp_path / "file" / "a.log"))
    output.write([b"x\n"])
    assert output.lost == 1
    assert "cannot be written" in capfd.readouterr().err


def test_a_stream_that_nobody_reads_does_not_hold_for_ever(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outputs, "_STREAM_WAIT_S", 0.05)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    try:
        output = StreamOutput("stderr", writer)
        output.write([b"x" * 1_000_000 + b"\n"])
        assert output.lost == 1
        assert os.read(reader, 10) == b"x" * 10
    finally:
        os.close(reader)
        os.close(writer)


# -- the thread -------------------------------------------------------------------------------------


class Memory(outputs.Output):
    def __init__(self) -> None:
        super().__init__("memory")
        self.data = b""
        self.release = threading.Event()
        self.release.set()
        self.entered = threading.Event()

    def _write(self, lines: Sequence[bytes]) -> None:
        self.entered.set()
        self.release.wait()
        self.data += b"".join(lines)

    def close(self) -> None: ...


def test_lines_of_all_threads_arrive_in_order() -> None:
    writer, output = LogWriter(), Memory()
    put = writer.channel(output)

    def log(letter: str) -> None:
        for number in range(500):
            put(f"{letter}{number}\n".encode())

    threads = [threading.Thread(target=log, args=(letter,)) for letter in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert writer.flush()
    lines = output.data.decode().split()
    for letter in "abcd":
        assert [line for line in lines if line[0] == letter] == [f"{letter}{number}" for number in range(500)]
    writer.close()


def test_it_wakes_up_again_and_again() -> None:
    writer, output = LogWriter(), Memory()
    for number in range(20):
        writer.channel(output)(b"%d\n" % number)
        output.entered.wait(5)
        output.entered.clear()
    assert writer.flush()
    assert output.data == b"".join(b"%d\n" % number for number in range(20))
    writer.close()


def test_lines_that_are_waited_for_do_not_wait_for_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howdah.observe.writer._COLLECT_S", 60)
    writer, output = LogWriter(), Memory()
    put, put_soon = writer.channel(output), writer.channel(output, soon=True)
    put(b"first\n")
    assert output.entered.wait(5)
    output.entered.clear()
    put(b"later\n")
    assert not output.entered.wait(0.1)
    put_soon(b"soon\n")
    assert output.entered.wait(5)
    writer.close()
    assert output.data == b"first\nlater\nsoon\n"


def test_a_disk_that_hangs_holds_nobody_and_memory_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howdah.observe.writer._MOST_WAITING", 100)
    monkeypatch.setattr("howdah.observe.writer._COUNTED_EVERY", 10)
    writer, output = LogWriter(), Memory()
    output.release.clear()
    writer.channel(output)(b"first\n")
    assert output.entered.wait(5)
    began = time.monotonic()
    for _ in range(150):
        writer.channel(output)(b"x\n")
    assert time.monotonic() - began < 1
    assert writer.dropped == 50
    assert not writer.flush(0.01)
    output.release.set()
    assert writer.flush()
    assert output.data.count(b"x\n") == 100
    writer.close()


def test_lines_of_all_outputs_together_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("howdah.observe.writer._MOST_WAITING", 100)
    monkeypatch.setattr("howdah.observe.writer._COUNTED_EVERY", 10)
    writer = LogWriter()
    outputs = [Memory() for _ in range(3)]
    outputs[0].release.clear()
    puts = [writer.channel(output) for output in outputs]
    puts[0](b"first\n")
    assert outputs[0].entered.wait(5)
    for put in (puts[0], puts[1], puts[2]):
        for _ in range(60):
            put(b"x\n")
    assert writer.dropped == (60 - 40) + 60
    outputs[0].release.set()
    assert writer.flush()
    assert [output.data.count(b"x\n") for output in outputs] == [60, 40, 0]
    writer.close()


def test_what_cannot_be_written_is_counted_to_its_end(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    output = FileOutput(str(tmp_path / "a.log"))
    disk = Disk(monkeypatch, room=600)
    output.write([b"12345\n"] * 1000)
    assert output.lost == 900
    disk.room = 100_000
    output.write([b"again\n"])
    output.close()
    assert (tmp_path / "a.log").read_text() == "12345\n" * 100 + "again\n"
    assert "900 lines were lost" in capfd.readouterr().err


def test_close_writes_what_is_left_and_a_later_line_is_written_too() -> None:
    writer, output = LogWriter(), Memory()
    writer.channel(output)(b"a\n")
    writer.close()
    assert output.data == b"a\n"
    writer.channel(output)(b"b\n")
    writer.close()
    assert output.data == b"a\nb\n"
    writer.close()


def test_without_a_line_there_is_nothing_to_wait_for() -> None:
    writer = LogWriter()
    assert writer.flush()
    writer.close()
