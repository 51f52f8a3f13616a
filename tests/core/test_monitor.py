"""The monitor: alerts are raised once, repeated when they change, and resolved."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from appliance.core.monitor import MonitorCore
from appliance.domain.operations import Latch, LatchState, Peer
from tests.core.make import again, order, writers
from tests.playbook import Playbook


def monitor() -> MonitorCore:
    return MonitorCore("monitor", writers("monitor"))


def alert(code: str, **fields: Any) -> Callable[[Any], bool]:
    def fits(said: Any) -> bool:
        return bool(said.code == code and all(getattr(said, name) == value for name, value in fields.items()))

    fits.__name__ = f"Alert {code} {fields or ''}"
    return fits


def test_a_lost_process_raises_one_alert_that_is_resolved_when_it_is_heard() -> None:
    with Playbook(monitor()) as play:
        play >> Peer("guard", False) << alert("LOST_guard", resolved=0, count=1) >> Peer("guard", False)
        play.later(5) >> Peer("guard", True) << alert("LOST_guard", resolved=play.now.time)
        play >> Peer("guard", False) << alert("LOST_guard", count=2, resolved=0)


def test_late_is_a_warning_and_lost_takes_its_place() -> None:
    with Playbook(monitor()) as play:
        play >> Peer("feed", True, late=True) << alert("LATE_feed")
        play >> Peer("feed", False) << alert("LOST_feed") << alert("LATE_feed", resolved=play.now.time)


def test_an_order_message_that_was_set_aside_stays_an_alert() -> None:
    with Playbook(monitor()) as play:
        play >> Peer("guard", True, poisoned=1) << alert("POISON_guard") >> Peer("guard", True, poisoned=2)


def test_the_latch_is_an_alert_until_it_is_active() -> None:
    with Playbook(monitor()) as play:
        play >> Latch(LatchState.REDUCING, 1, "slow", "owner") << alert("LATCH")
        play >> Latch(LatchState.HALTED, 2, "smoke", "owner") << (lambda said: "smoke" in said.text and said.count == 1)
        play >> Latch(LatchState.ACTIVE, 3) << alert("LATCH", resolved=play.now.time) >> order()


def test_alerts_outlive_a_restart() -> None:
    play = Playbook(monitor())
    play >> Peer("guard", False) << ...
    core = again(play.core, monitor())
    assert [one.code for one in core.open_alerts] == ["LOST_guard"]  # type: ignore[attr-defined]
    with Playbook(core) as after:
        after >> Peer("guard", False) >> Peer("guard", True) << alert("LOST_guard", count=1)
