"""A strategy that uses every clock there is, as a file's text and as a maker; and the bars of some sessions."""

from __future__ import annotations

from functools import cache

from appliance.core.wishes import Code, Made, Runner
from appliance.data.calendars import compile_sessions
from appliance.domain.market import MINUTE, Bar, Sessions
from appliance.strategy import loader

CLOCKWORK = """
from appliance.strategy import Strategy, param


class Clockwork(Strategy):
    symbols = ("QQQ", "SPY")
    before_close = "10m"
    size: int = param(10, low=1, high=100, live=True)
    breaks: str = param("never")

    def on_start(self):
        self.every("20m", "tick")
        self.at("15:30", "late")
        self.at("close-5m", "last")
        self.state["heard"] = []
        self.state["n"] = 0

    def note(self, what):
        self.state["heard"] = [*self.state["heard"], f"{what} {self.now}"]
        if what == self.breaks:
            raise ValueError("bad luck")

    def on_bar(self, bar):
        self.note(f"bar {bar.symbol}")

    def on_timer(self, name):
        self.note(name)
        self.state["n"] += 1
        self.target("SPY", quantity=self.size * (self.state["n"] % 3 - 1), reason=name)
        if name == "late":
            self.buy("QQQ", 5, limit=self.price("QQQ") + 1)

    def on_session(self, event):
        self.note(event)
        if event == "close":
            self.cancel()
            self.target("QQQ", quantity=0, reason=event)

    def on_stale(self, symbol):
        self.note(f"stale {symbol}")
        self.target(symbol, quantity=0, reason="stale")

    def on_order(self, order):
        self.note(f"{order.status.value} {order.symbol}")

    def on_fill(self, fill):
        self.note(f"fill {fill.symbol} {self.position(fill.symbol)} {self.cash}")
"""


@cache
def new_york() -> Sessions:
    """The sessions of November 2013; the 29th is a half day."""
    return Sessions(compile_sessions("2013-11-25", "2013-12-03"))


def maker(name: str = "clockwork", text: str = CLOCKWORK, sessions: Sessions | None = None, **params: str) -> Made:
    """How to make a strategy of a text."""
    calendar = sessions if sessions is not None else new_york()

    class Texts(Made):
        def __call__(self, code: Code | None = None) -> Runner:
            source, given = (text, params) if code is None else (code.source, code.params)
            return loader.load(source, f"{name}.py", name=name, params=given, sessions=calendar)

    made = Texts(name, lambda: loader.load(text, f"{name}.py"))
    made.source, made.params = text, params
    return made


def bars(days: int = 4, gap: int = 0) -> tuple[Bar, ...]:
    """Five-minute bars of SPY and QQQ in order of their ends; QQQ has none for the last ``gap`` of each day."""
    found = []
    for session in list(new_york())[:days]:
        count = (session.close - session.open) // (5 * MINUTE)
        for number in range(count):
            start = session.open + number * 5 * MINUTE
            for symbol in ("QQQ", "SPY"):
                if symbol == "SPY" or number < count - gap:
                    close = 100.0 + (number * 7 + len(symbol)) % 11 / 4
                    found.append(bar(symbol, start, close))
    return tuple(found)


def bar(symbol: str, start: int, close: float) -> Bar:
    """A bar of five minutes."""
    return Bar(symbol, "5m", start, start + 5 * MINUTE, close, close + 0.5, close - 0.5, close, 1_000.0)
