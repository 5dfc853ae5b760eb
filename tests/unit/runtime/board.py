"""The real scoreboard (``native/hw_board.c``) in a library of its own: no PHP and no extension is needed."""

from __future__ import annotations

import atexit
import ctypes
import functools
import shutil
import subprocess
import tempfile
import tomllib
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType

ROOT = Path(__file__).resolve().parents[3]
_TABLE = tomllib.loads((ROOT / "tools" / "states.toml").read_text(encoding="utf-8"))
STATES: tuple[str, ...] = tuple(state["name"] for state in _TABLE["state"])
WHO: Mapping[tuple[str, str], frozenset[str]] = MappingProxyType(
    {(entry["from"], entry["to"]): frozenset(entry["by"].split(", ")) for entry in _TABLE["transition"]}
)
LEGAL = frozenset(WHO)
_WRAPPER = """\
#include "hw_board.c"
void board_init(unsigned count) { hw_board_init(count); for (unsigned i = 0; i < count; i++) slots[i].state = 0; }
int board_change(unsigned slot, int from, int to) { return hw_board_change(slot, from, to); }
int board_state(unsigned slot) { return slots[slot].state; }
int board_state_of(const char *name) { return hw_board_state_of(name); }
"""


@functools.cache
def _library() -> ctypes.CDLL:
    folder = Path(tempfile.mkdtemp(prefix="hw-board-"))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    (folder / "board.c").write_text(_WRAPPER, encoding="ascii")
    built = folder / "board.so"
    command = ["cc", "-std=gnu11", "-O1", "-pthread", "-shared", "-fPIC", f"-I{ROOT / 'native'}"]
    subprocess.run([*command, str(folder / "board.c"), "-o", str(built)], check=True)
    library = ctypes.CDLL(str(built))
    library.board_state_of.argtypes = [ctypes.c_char_p]
    return library


class Board:
    """Slots whose states are changed by the function that PHP threads use; a new one starts over."""

    def __init__(self, slots: int) -> None:
        self._library = _library()
        self._library.board_init(slots)

    def change(self, slot: int, expected: str, to: str) -> bool:
        return bool(self._library.board_change(slot, self._number(expected), self._number(to)))

    def state(self, slot: int) -> str:
        return STATES[int(self._library.board_state(slot))]

    def _number(self, name: str) -> int:
        number = int(self._library.board_state_of(name.encode()))
        if number < 0:
            raise ValueError(f"{name!r} is no state")
        return number
