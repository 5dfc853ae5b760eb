"""The life of a slot: the table against what it promises, and the real compare-and-swap against the table."""

from __future__ import annotations

import random
import threading
from collections import Counter

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from tests.unit.runtime.board import LEGAL, STATES, WHO, Board

SLOTS = 3
SUCCESSORS = {state: frozenset(to for start, to in LEGAL if start == state) for state in STATES}
# Where no OS thread holds PHP storage. A slot must not come here from elsewhere but after the storage was freed.
WITHOUT_STORAGE = frozenset({"reserved", "boot requested", "reboot ready", "done"})
AFTER_THE_FREE = {("rebooting", "reboot ready"), ("shutting down", "done"), ("stuck", "done"), ("booting", "done")}
SERVING = frozenset({"ready"})


def reachable(start: str, by: str | None = None, without: frozenset[str] = frozenset()) -> set[str]:
    """Give the states that can be reached, by one actor alone if one is named."""
    seen, pending = {start}, [start]
    while pending:
        state = pending.pop()
        for to in SUCCESSORS[state] - seen - without:
            if by is None or by in WHO[state, to]:
                seen.add(to)
                pending.append(to)
    return seen


# -- the table ---------------------------------------------------------------------------------------


def test_every_state_is_reached_and_left() -> None:
    assert reachable("reserved") == set(STATES)
    assert all(SUCCESSORS.values())


@pytest.mark.parametrize("state", STATES)
def test_no_slot_is_ever_lost(state: str) -> None:
    assert "reserved" in reachable(state)


@pytest.mark.parametrize("state", [state for state in STATES if state not in WITHOUT_STORAGE | {"booting"}])
def test_a_living_thread_can_always_end_by_itself(state: str) -> None:
    assert "done" in reachable(state, by="thread")


def test_storage_is_freed_before_a_slot_counts_as_empty() -> None:
    ways = {(start, to) for start, to in LEGAL if start not in WITHOUT_STORAGE and to in WITHOUT_STORAGE}
    assert ways == AFTER_THE_FREE


def test_a_stuck_thread_serves_nothing_more() -> None:
    assert not reachable("stuck", without=frozenset({"reserved"})) & SERVING


def test_a_stop_cannot_be_taken_back() -> None:
    assert reachable("shutting down", without=frozenset({"reserved"})) <= {"shutting down", "stuck", "done"}


def test_only_a_thread_that_boots_gets_a_role_again() -> None:
    for state in ("reserved", "reboot ready", "done"):
        assert "ready" not in reachable(state, without=frozenset({"booting"}))


# -- random events, legal and illegal ------------------------------------------------------------------


class Slots(RuleBasedStateMachine):
    """Whoever asks for whatever: only what the table allows happens, and the model knows what."""

    def __init__(self) -> None:
        super().__init__()
        self.board = Board(SLOTS)
        self.expected = ["reserved"] * SLOTS
        self.storage = [False] * SLOTS
        self.boots = [0] * SLOTS
        self.frees = [0] * SLOTS

    @rule(slot=st.integers(0, SLOTS - 1), start=st.sampled_from(STATES), to=st.sampled_from(STATES))
    def anybody_asks_for_anything(self, slot: int, start: str, to: str) -> None:
        self._try(slot, start, to)

    @rule(slot=st.integers(0, SLOTS - 1), data=st.data())
    def somebody_does_what_is_allowed(self, slot: int, data: st.DataObject) -> None:
        now = self.expected[slot]
        assert self._try(slot, now, data.draw(st.sampled_from(sorted(SUCCESSORS[now]))))

    @rule(slot=st.integers(0, SLOTS - 1), data=st.data())
    def somebody_is_late(self, slot: int, data: st.DataObject) -> None:
        """A change that was legal in the state that the caller saw, but that state is gone."""
        stale = data.draw(st.sampled_from([state for state in STATES if state != self.expected[slot]]))
        assert not self._try(slot, stale, data.draw(st.sampled_from(sorted(SUCCESSORS[stale]))))

    @rule(slot=st.integers(SLOTS, SLOTS + 5), pair=st.sampled_from(sorted(LEGAL)))
    def there_is_no_such_slot(self, slot: int, pair: tuple[str, str]) -> None:
        assert not self.board.change(slot, *pair)

    @precondition(lambda self: any(state != "reserved" for state in self.expected))
    @rule()
    def everything_is_stopped(self) -> None:
        """From wherever each slot is, its own thread and the stopper bring it back within a few steps."""
        for slot in range(SLOTS):
            for _ in range(len(STATES)):
                now = self.expected[slot]
                if now == "reserved":
                    break
                self._try(slot, now, _towards_the_end(now))
            assert self.board.state(slot) == "reserved"

    @invariant()
    def board_is_as_expected(self) -> None:
        assert [self.board.state(slot) for slot in range(SLOTS)] == self.expected

    @invariant()
    def storage_is_balanced(self) -> None:
        for slot in range(SLOTS):
            assert self.boots[slot] - self.frees[slot] == self.storage[slot]
            assert self.storage[slot] == (self.expected[slot] not in WITHOUT_STORAGE)

    def _try(self, slot: int, start: str, to: str) -> bool:
        legal = start == self.expected[slot] and (start, to) in LEGAL
        assert self.board.change(slot, start, to) == legal
        if legal:
            self.expected[slot] = to
            if to == "booting":
                assert not self.storage[slot], "the last thread's storage was not freed"
                self.storage[slot] = True
                self.boots[slot] += 1
            if to in WITHOUT_STORAGE and start not in WITHOUT_STORAGE:
                self.storage[slot] = False
                self.frees[slot] += 1
        return legal


def _towards_the_end(state: str) -> str:
    """Give the next state on the shortest way to the end that a slot's own thread can go."""
    distance = {"reserved": 0}
    for _ in STATES:
        for start, to in LEGAL:
            if to in distance and WHO[start, to] & {"thread", "starter"}:
                distance[start] = min(distance.get(start, 99), distance[to] + 1)
    return min(SUCCESSORS[state], key=lambda to: distance.get(to, 99))


Slots.TestCase.settings = settings(max_examples=60, stateful_step_count=60, deadline=None)
TestSlots = Slots.TestCase


# -- races -----------------------------------------------------------------------------------------------


def test_of_all_who_want_to_change_a_state_one_does() -> None:
    """Many threads change one slot at random: every state is entered as often as it is left, but for the last."""
    board = Board(1)
    done: list[Counter[tuple[str, str]]] = []
    begin = threading.Barrier(8)

    def change(seed: int) -> None:
        choice = random.Random(seed)
        pairs = sorted(LEGAL)
        mine: Counter[tuple[str, str]] = Counter()
        begin.wait()
        for _ in range(20_000):
            pair = choice.choice(pairs)
            if board.change(0, *pair):
                mine[pair] += 1
        done.append(mine)

    threads = [threading.Thread(target=change, args=(seed,)) for seed in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    total = sum(done, Counter())
    assert total.total() > 1000
    for state in STATES:
        entered = sum(count for (_, to), count in total.items() if to == state)
        left = sum(count for (start, _), count in total.items() if start == state)
        assert entered - left == (board.state(0) == state) - (state == "reserved")
