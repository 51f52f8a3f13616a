"""Bars that are corrected after they were told: strategies that want to know hear of it, and nothing else changes."""

from __future__ import annotations

from decimal import Decimal

from msgspec.structs import replace

from appliance.core.host import REVISIONS
from appliance.core.wishes import Wish, Wishes
from appliance.domain.market import Bar
from appliance.domain.messages import Event
from appliance.domain.trading import Intent, Side, Signal
from appliance.processes import reads_of
from appliance.runs import RunSpec, StrategySpec
from appliance.strategy import Strategy
from appliance.strategy.runner import StrategyRunner
from tests.core.hosting import D, Puppet, closes, live, puppet, wants
from tests.playbook import Playbook


class Corrected(Puppet):
    """Wants as many shares as a revision's close says."""

    def revision(self, bar: Bar, now: int) -> Wishes:
        self.heard.append(f"revision {bar.revision} {bar.close:g}")
        return (Wish(bar.symbol, D(int(bar.close)), "corrected"),)


class Deaf(Puppet):
    def hears(self, hook: str) -> bool:
        return hook != "revision"

    def revision(self, bar: Bar, now: int) -> Wishes:
        raise AssertionError("it did not want to hear this")


def revised(play: Playbook, close: float, symbol: str = "SPY", later: int = 3) -> Event:
    """A correction of the last minute, some seconds after it was told."""
    play.later(later)
    old = closes(play, close, symbol)
    return replace(play.event(replace(old, revision=1)), stream=REVISIONS, ts=play.now.time)


def test_a_revision_is_heard_by_its_own_hook_and_acted_on() -> None:
    with live(Corrected) as play:
        play >> closes(play, 100) << Signal << wants(Side.BUY, 100)
        play >> revised(play, 120) << Signal << wants(Side.BUY, 20, cause="feed/revisions:1:2")
    assert puppet(play).heard == ["start", "bar 100", "revision 1 120"]


def test_a_revision_makes_no_price() -> None:
    play = live(Puppet)
    play >> closes(play, 100) << ...
    before = dict(play.core.tracker.prices)  # type: ignore[attr-defined]
    play >> revised(play, 7)
    assert dict(play.core.tracker.prices) == before  # type: ignore[attr-defined]
    assert play.heard(Signal) == []


def test_who_does_not_want_revisions_or_has_other_symbols_hears_none() -> None:
    with live(Deaf, lambda: Corrected("other", ("QQQ",))) as play:
        play >> revised(play, 120)
    assert puppet(play, "other").heard == ["start"]


def test_a_revision_of_long_ago_is_news_of_now_but_one_that_comes_from_a_backlog_is_not() -> None:
    play = live(Corrected)
    news = revised(play, 50)
    play >> news
    assert [one.quantity for one in play.heard(Intent)] == [50], "the bar is old, the news is not"
    play = live(Corrected)
    news = revised(play, 50)
    play.later(3600)
    play >> news
    assert play.heard(Intent) == [], "what is an hour old is not traded on"


class Author(Strategy):
    symbols = ("SPY",)

    def on_start(self) -> None:
        self.average = self.sma("SPY", 2)

    def on_revision(self, bar: Bar) -> None:
        self.target("SPY", quantity=bar.revision, reason=f"{self.average.value:g}")


def test_an_author_hears_revisions_and_his_indicators_keep_what_they_were_told() -> None:
    runner = StrategyRunner(Author, "s", Author.configure({}))
    runner.start(0)
    bars = [Bar("SPY", "1m", n, n + 1, close, close, close, close, 1.0) for n, close in enumerate((10.0, 20.0))]
    for bar in bars:
        assert runner.bar(bar, bar.end) == ()
    assert runner.hears("revision")
    assert runner.revision(replace(bars[1], close=90.0, revision=2), 5) == (Wish("SPY", Decimal(2), "15"),)
    assert runner.revision(replace(bars[1], symbol="QQQ", revision=2), 5) == ()


def test_hosts_read_revisions_live_and_recorded_data_have_none() -> None:
    spec = RunSpec("box", (StrategySpec("trend", "trend.py"),), Decimal(1))
    assert REVISIONS in reads_of("host@trend", spec)
    assert REVISIONS not in reads_of("host@trend", replace(spec, files=("bars.csv",)))
    assert REVISIONS not in reads_of("guard", spec)
