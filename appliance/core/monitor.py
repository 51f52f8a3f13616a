"""The health monitor's core: who is ready, late or lost, and what the owner should know about it."""

from __future__ import annotations

from msgspec.structs import replace

from appliance.core.base import Core
from appliance.core.streams import Writers
from appliance.domain.messages import Event, EventType, Now
from appliance.domain.operations import Alert, Latch, LatchState, Notice, Peer, Severity

ALERTS = "monitor/alerts"


class MonitorCore(Core):
    """Raises an alert when a process is lost, an order message was set aside, or the box trades less; resolves it."""

    watches = ("feed", "host", "guard", "gateway")
    hears_late = True

    def __init__(self, process: str, writers: Writers) -> None:
        super().__init__(process, writers)
        self._alerts = self.table("alert", Alert)
        self.on(EventType.PEER, self._peer)
        self.on(EventType.LATCH, self._latch)
        self.on(EventType.NOTICE, self._notice)
        self.ignore(EventType.ORDER, EventType.FILL, EventType.ACCOUNT, EventType.ACTIVITY)  # shown elsewhere

    @property
    def open_alerts(self) -> list[Alert]:
        """Alerts that still hold, oldest first."""
        return [alert for alert in self._alerts.values() if not alert.resolved]

    def _peer(self, event: Event, now: Now) -> None:
        peer: Peer = event.body
        lost, late = f"LOST_{peer.process}", f"LATE_{peer.process}"
        self._hold(
            lost,
            not peer.alive and not peer.stopped,
            Severity.CRITICAL,
            f"{peer.process} is not heard: see its log",
            now,
        )
        text = f"{peer.process} answers late: look at load and disk"
        self._hold(late, peer.alive and peer.late, Severity.WARNING, text, now)
        text = f"{peer.process} set an order message aside: `appliance journal tail {peer.process}`"
        self._hold(f"POISON_{peer.process}", peer.poisoned > 0, Severity.CRITICAL, text, now)

    def _latch(self, event: Event, now: Now) -> None:
        latch: Latch = event.body
        lowered = latch.state is not LatchState.ACTIVE
        text = f"{latch.state.value} by {latch.by}: {latch.why}. `appliance resume` when it is understood"
        self._hold("LATCH", lowered, Severity.CRITICAL, text, now)
        symbols = "; ".join(f"{symbol}: {why}" for symbol, why in latch.blocked.items())
        self._hold("SYMBOL_HALTED", bool(symbols), Severity.CRITICAL, f"no new risk on {symbols}", now)

    def _notice(self, event: Event, now: Now) -> None:
        notice: Notice = event.body
        self._hold(notice.code, notice.holds, notice.severity, notice.text, now)

    def _hold(self, code: str, holds: bool, severity: Severity, text: str, now: Now) -> None:
        """Raise, repeat or resolve one alert; nothing is said when nothing changed."""
        alert = self._alerts.get(code)
        raised = alert is not None and not alert.resolved
        if holds and not raised:
            count = alert.count + 1 if alert is not None else 1
            self._tell(Alert(code, severity, text, now.time, now.time, count), now)
        elif holds and alert is not None and alert.text != text:
            self._tell(replace(alert, text=text, last_seen=now.time), now)
        elif not holds and raised and alert is not None:
            self._tell(replace(alert, resolved=now.time, last_seen=now.time), now)

    def _tell(self, alert: Alert, now: Now) -> None:
        self._alerts[alert.code] = alert
        self.emit(ALERTS, alert, now)
