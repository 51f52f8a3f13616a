"""Wall time does not step back, ticks do not depend on it, and data time is the data's."""

import pytest

from appliance.domain.messages import DATA_BOOT, Now, local
from appliance.domain.operations import Wakeup
from appliance.shell.clock import STEP_BACK_MAX, DataClock, MachineClock, boot_id, machine_ticks

T = 1_700_000_000_000_000_000


def _walls(*values):
    return iter(values).__next__


@pytest.mark.parametrize(
    ("walls", "seen"),
    [
        ((T, T + 5, T + 9), (T, T + 5, T + 9)),
        ((T, T - 1, T + 1), (T, T, T + 1)),
        ((T, T - STEP_BACK_MAX, T + 1), (T, T, T + 1)),
        ((T, T - STEP_BACK_MAX - 1, T - STEP_BACK_MAX), (T, T - STEP_BACK_MAX - 1, T - STEP_BACK_MAX)),
        ((T, T - 3, T - STEP_BACK_MAX - 2), (T, T, T - STEP_BACK_MAX - 2)),
    ],
    ids=["forward", "a ns back", "a second back", "set back", "creeping back beyond a second"],
)
def test_wall_time_stands_still_over_small_steps_back_and_follows_a_clock_that_was_set(walls, seen):
    clock = MachineClock(wall=_walls(*walls), ticks=lambda: 7, boot="b")
    assert tuple(clock.now() for _ in walls) == tuple(Now(time, "b", 7) for time in seen)


def test_the_machine_clock_tells_this_boot_and_its_ticks_go_on():
    clock = MachineClock()
    first, second = clock.now(), clock.now()
    assert first.boot == second.boot == boot_id()
    assert first.time <= second.time
    assert first.ticks <= second.ticks <= clock.ticks() <= machine_ticks()


def test_data_time_follows_events_and_never_goes_back_while_machine_ticks_go_on():
    clock = DataClock(machine=lambda: 42)
    clock.resume(T - 5)
    clock.now(local(Wakeup(), T))
    assert clock.now(local(Wakeup(), T - 10)) == Now(T, DATA_BOOT, T)
    assert clock.ticks() == 42
