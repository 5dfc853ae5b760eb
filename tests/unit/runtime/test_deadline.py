"""Which stage of a kill is due when."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from howdah.runtime.deadline import Escalation, Graces, Stage

GRACES = Graces(flag_s=0.125, signal_s=0.25, cutoff_pause_s=0.5, second_s=1.0, stuck_s=3.0)
# Binary fractions, so that sums are exact.
SWEEP_S = 0.0625


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def sweep(escalation: Escalation, clock: Clock, seconds: float, kills: int = 0) -> list[Stage]:
    """Ask again and again, as the sweeps do, and give what is due without repetitions."""
    seen: list[Stage] = []
    end = clock.now + seconds
    while clock.now < end:
        stage = escalation.due(kills)
        if not seen or seen[-1] is not stage:
            seen.append(stage)
        clock.now += SWEEP_S
    return seen


def test_the_stages_come_one_after_the_other() -> None:
    clock = Clock()
    escalation = Escalation(GRACES, clock)
    assert sweep(escalation, clock, 0.125) == [Stage.FLAG]
    assert sweep(escalation, clock, 0.25) == [Stage.SIGNAL]
    assert escalation.due(0) is Stage.CUTOFF


def test_sockets_are_shut_down_less_often_than_signals_are_sent() -> None:
    clock = Clock()
    escalation = Escalation(GRACES, clock)
    sweep(escalation, clock, 0.375)
    assert sweep(escalation, clock, 1.5) == [Stage.CUTOFF, Stage.SIGNAL] * 3


def test_a_script_that_survives_is_stuck_once_and_the_kill_goes_on() -> None:
    clock = Clock()
    escalation = Escalation(GRACES, clock)
    seen = sweep(escalation, clock, 6.0)
    assert seen.count(Stage.STUCK) == 1
    assert escalation.is_stuck
    assert Stage.CUTOFF in seen[seen.index(Stage.STUCK) :]


def test_shutdown_functions_get_a_second_deadline() -> None:
    clock = Clock()
    escalation = Escalation(GRACES, clock)
    sweep(escalation, clock, 2.0)
    assert sweep(escalation, clock, 1.0, kills=1) == [Stage.WAIT]
    assert sweep(escalation, clock, 0.125, kills=1) == [Stage.FLAG]
    assert sweep(escalation, clock, 0.25, kills=1) == [Stage.SIGNAL]
    assert Stage.STUCK in sweep(escalation, clock, 3.0, kills=1)


@given(st.lists(st.tuples(st.floats(0.01, 0.5), st.booleans()), min_size=30, max_size=60))
def test_nothing_puts_the_end_off_for_ever(steps: list[tuple[float, bool]]) -> None:
    clock = Clock()
    escalation = Escalation(GRACES, clock)
    began, kills = clock.now, 0
    stuck_at = None
    for pause_s, is_killed in steps:
        if escalation.due(kills) is Stage.STUCK:
            assert stuck_at is None
            stuck_at = clock.now
        kills += is_killed
        clock.now += pause_s
    bound_s = 2 * GRACES.stuck_s + GRACES.second_s + 1.0
    if clock.now - began > bound_s:
        assert stuck_at is not None
        assert stuck_at - began <= bound_s
