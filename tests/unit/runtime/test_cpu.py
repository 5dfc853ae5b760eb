"""Processor use between two looks, from the kernel's counters."""

from __future__ import annotations

import threading
import time
from pathlib import Path

import pytest

from howdah.runtime.cpu import CpuMeter


class Kernel:
    """Counters that a test moves."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.now = self.process_s = 0.0

    def task(self, thread: int, running_s: float, ready_s: float) -> None:
        (self.folder / str(thread)).mkdir(exist_ok=True)
        text = f"{running_s * 1e9:.0f} {ready_s * 1e9:.0f} 7\n"
        (self.folder / str(thread) / "schedstat").write_text(text, encoding="ascii")

    def meter(self, cores: int = 2) -> CpuMeter:
        return CpuMeter(cores, lambda: self.now, lambda: self.process_s, self.folder)


@pytest.fixture
def kernel(tmp_path: Path) -> Kernel:
    return Kernel(tmp_path)


def test_the_first_look_knows_nothing(kernel: Kernel) -> None:
    assert kernel.meter().look([]) is None


def test_use_is_that_since_the_last_look(kernel: Kernel) -> None:
    meter = kernel.meter()
    kernel.task(7, 50.0, 10.0)
    kernel.task(8, 1.0, 1.0)
    meter.look([7, 8])
    kernel.now, kernel.process_s = 0.1, 0.05
    kernel.task(7, 50.04, 10.05)
    kernel.task(8, 1.01, 1.0)
    use = meter.look([7, 8])
    assert use is not None
    assert use.share == pytest.approx(0.25)
    assert use.wanting == pytest.approx(1.0)


def test_a_look_after_a_long_time_tells_nothing_of_now(kernel: Kernel) -> None:
    meter = kernel.meter()
    meter.look([])
    kernel.now, kernel.process_s = 5.0, 0.05
    assert meter.look([]) is None
    kernel.now, kernel.process_s = 5.05, 0.15
    use = meter.look([])
    assert use is not None
    assert use.share == pytest.approx(1.0)


def test_a_look_too_soon_is_left_to_the_next(kernel: Kernel) -> None:
    meter = kernel.meter(cores=1)
    meter.look([])
    kernel.now, kernel.process_s = 0.005, 0.005
    assert meter.look([]) is None
    kernel.now, kernel.process_s = 0.02, 0.01
    use = meter.look([])
    assert use is not None
    assert use.share == pytest.approx(0.5)


def test_threads_come_and_go_between_two_looks(kernel: Kernel) -> None:
    meter = kernel.meter()
    kernel.task(7, 50.0, 0.0)
    meter.look([7])
    kernel.now = 0.1
    kernel.task(9, 0.02, 0.0)
    (kernel.folder / "7" / "schedstat").unlink()
    use = meter.look([7, 9])
    assert use is not None
    assert use.wanting == pytest.approx(0.2)


def test_a_kernel_without_those_counters_still_gives_the_share(kernel: Kernel) -> None:
    meter = kernel.meter()
    meter.look([7])
    kernel.now = kernel.process_s = 0.1
    use = meter.look([7])
    assert use is not None
    assert use.wanting is None
    assert use.share == pytest.approx(0.5)


def test_a_real_thread_that_computes_wants_one_core() -> None:
    if not Path(f"/proc/self/task/{threading.get_native_id()}/schedstat").exists():
        pytest.skip("this kernel counts no waiting for a core")
    meter = CpuMeter(1)
    meter.look([threading.get_native_id()])
    end = time.monotonic() + 0.1
    while time.monotonic() < end:
        pass
    use = meter.look([threading.get_native_id()])
    assert use is not None
    assert use.wanting is not None
    assert 0.5 < use.wanting < 1.5
    assert use.share > 0.05
