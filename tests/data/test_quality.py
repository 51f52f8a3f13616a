from __future__ import annotations

from dataclasses import dataclass

from msgspec.structs import replace

from appliance.data.quality import KEPT, Day, Quality, QualityReport, heat, judge, score
from appliance.data.validation.verdicts import Finding, Outcome
from appliance.domain.market import DAY, HOUR, MINUTE, AlwaysOpen, Bar, Quote, Sessions, Trade
from tests.data.validation.scenes import LENGTH, NEXT_OPEN, OPEN, WEEK, bar, quote, told, trade, validator

NAN = float("nan")


@dataclass
class Scene:
    """A validator and the count of what it says."""

    sessions: Sessions = WEEK

    def __post_init__(self) -> None:
        self.judge, self.quality = validator(sessions=self.sessions), Quality(lambda symbol: self.sessions)

    def tell(self, *events: Bar | Quote | Trade) -> QualityReport:
        for event in events:
            self.quality.add(event, told(self.judge, event))
        return self.quality.report()


def minutes(count: int, start: int = OPEN) -> list[Bar]:
    return [bar(start + at * MINUTE) for at in range(count)]


def test_a_whole_day_scores_a_hundred() -> None:
    report = Scene().tell(*minutes(390))
    assert [(day.date, day.expected, day.received, day.missing, day.score) for day in report.days] == [
        ("2013-10-07", 390, 390, 0, 100.0)
    ]
    assert (report.quarantined, report.counts, report.findings) == (0, {}, ())


def test_what_is_missing_is_counted_where_it_is_missing_also_at_the_edges_of_a_day() -> None:
    report = Scene().tell(*minutes(380, OPEN + 5 * MINUTE), *minutes(10, NEXT_OPEN))
    assert [(day.date, day.missing) for day in report.days] == [("2013-10-07", 10), ("2013-10-08", 380)]


def test_a_day_without_any_bar_is_in_the_report() -> None:
    report = Scene().tell(*minutes(390), *minutes(390, OPEN + 2 * DAY))
    empty = report.days[1]
    assert (empty.date, empty.expected, empty.received, empty.missing, empty.score) == ("2013-10-08", 390, 0, 390, 0.0)


def test_everything_that_happens_to_bars_is_told_apart() -> None:
    scene = Scene()
    scene.tell(*minutes(100))
    report = scene.tell(
        bar(OPEN + 99 * MINUTE),  # again
        bar(OPEN + 99 * MINUTE, close=100.01),  # revised
        bar(OPEN + 100 * MINUTE, close=NAN),
        bar(OPEN + 101 * MINUTE, low=0.01),
        bar(OPEN + 102 * MINUTE, high=100.0 - 1e-9),
        bar(OPEN + 103 * MINUTE, volume=0.0),
        bar(OPEN + 106 * MINUTE, 103.0),
    )
    (day,) = report.days
    assert (day.received, day.duplicates, day.revisions) == (107, 1, 1)
    assert (day.quarantined, day.repaired, day.flagged) == (2, 1, 2)
    assert (day.expected, day.missing) == (390, 390 - 105)
    assert day.found == {
        "duplicate": 1, "revision": 1, "not_finite": 1, "spike": 1, "float_noise": 1, "zero_volume": 1, "gap": 1,
        "jump": 1,
    }  # fmt: skip
    assert report.counts == dict(sorted(day.found.items()))
    assert report.quarantined == 2
    assert round(day.largest_jump, 6) == 0.03
    assert (day.first, day.last) == (OPEN + MINUTE, OPEN + 107 * MINUTE)
    assert round(day.score, 6) == round(100 * 103 / 390, 6)


def test_bars_outside_the_session_fill_no_hole_in_it() -> None:
    early = [bar(OPEN - 60 * MINUTE + at * MINUTE) for at in range(60)]
    (day,) = Scene().tell(*early, *minutes(389)).days
    assert (day.received, day.outside, day.missing) == (449, 60, 1)
    assert day.score == 100 * 449 / 450


def test_a_daily_bar_that_is_stamped_late_belongs_to_its_session() -> None:
    days = [Bar("SPY", "1d", one.open, one.close + MINUTE, 9.0, 9.0, 9.0, 9.0, 5.0) for one in WEEK]
    report = Scene().tell(*days[:2], *days[3:])
    assert [(day.date, day.expected, day.missing) for day in report.days] == [
        (f"2013-10-{number:02}", 1, int(number == 9)) for number in range(7, 12)
    ]


def test_nobody_knows_how_many_ticks_there_should_be() -> None:
    report = Scene().tell(quote(), trade(), quote(OPEN + MINUTE, bid=200.0, ask=100.0), trade(OPEN + LENGTH + MINUTE))
    (day,) = report.days
    assert (day.timeframe, day.expected, day.received, day.outside, day.quarantined) == ("", 0, 4, 1, 1)
    assert day.score == 75.0


def test_seconds_without_trades_are_not_missing() -> None:
    second = replace(bar(), timeframe="1s", end=OPEN + 10**9)
    (day,) = Scene().tell(second, replace(second, start=OPEN + 9 * 10**9, end=OPEN + 10**10)).days
    assert (day.expected, day.missing, day.score) == (0, 0, 100.0)


def test_a_market_that_never_closes_has_days_of_1440_minutes() -> None:
    (day, *_) = Scene(AlwaysOpen()).tell(*minutes(3)).days
    assert (day.expected, day.missing) == (1440, 1437)


def test_a_day_of_a_market_that_never_closes_ends_at_midnight() -> None:
    midnight = OPEN - OPEN % DAY
    days = [Bar("BTC", "1d", at, at + DAY, 9.0, 9.0, 9.0, 9.0, 5.0) for at in (midnight, midnight + DAY)]
    report = Scene(AlwaysOpen()).tell(*days)
    assert [(day.date, day.missing) for day in report.days] == [("2013-10-07", 0), ("2013-10-08", 0)]


def test_a_minute_that_ends_at_midnight_is_of_the_day_before() -> None:
    midnight = OPEN - OPEN % DAY + DAY
    report = Scene(AlwaysOpen()).tell(bar(midnight - MINUTE), bar(midnight))
    assert [(day.date, day.received, day.outside) for day in report.days] == [
        ("2013-10-07", 1, 0),
        ("2013-10-08", 1, 0),
    ]
    new_york = OPEN - 9 * HOUR - 30 * MINUTE + DAY
    report = Scene().tell(bar(OPEN), bar(new_york - MINUTE), bar(new_york))
    assert [(day.date, day.received, day.outside) for day in report.days] == [
        ("2013-10-07", 2, 1),
        ("2013-10-08", 1, 1),
    ]


def test_so_many_findings_of_a_rule_are_kept_and_all_are_counted() -> None:
    scene = Scene()
    for number in range(KEPT + 5):
        scene.quality.broken(Finding("unreadable", Outcome.QUARANTINED, "", 0, f"row {number}"))
    report = scene.quality.report()
    assert (len(report.findings), report.counts) == (KEPT, {"unreadable": KEPT + 5})


def test_symbols_are_reported_apart_and_in_order() -> None:
    report = Scene().tell(bar(symbol="SPY"), bar(symbol="IBM"), quote(symbol="IBM"))
    assert [(day.symbol, day.timeframe) for day in report.days] == [("IBM", ""), ("IBM", "1m"), ("SPY", "1m")]


def test_rows_that_are_no_events_count_as_set_aside() -> None:
    scene = Scene()
    scene.quality.broken(Finding("unreadable", Outcome.QUARANTINED, "", 0, "row 3"))
    report = scene.tell(bar())
    assert (report.quarantined, report.counts) == (1, {"unreadable": 1})


def a_day(received: int, quarantined: int = 0) -> Day:
    return Day("A", "1m", "d", 100, received, 0, 100 - received, 0, 0, 0, quarantined, 0, {}, 0.0, 1, 2)


def test_a_line_of_days_shows_holes_and_what_was_set_aside() -> None:
    days = [a_day(100), a_day(0), a_day(50), a_day(100, 1)]
    assert heat(days) == "█·▅!"
    assert len(heat(days * 100)) <= 60
    assert score(days) == 62.25
    assert score(()) == 100.0


def test_what_a_history_source_pages_is_judged_as_it_comes() -> None:
    pages = [minutes(200), [replace(bar(OPEN + 200 * MINUTE, low=0.01), received=OPEN + 201 * MINUTE)]]
    quality = Quality(lambda symbol: WEEK)
    judge((one for page in pages for one in page), validator(), quality)
    (day,) = quality.report().days
    assert (day.received, day.quarantined, day.found) == (201, 1, {"spike": 1})
