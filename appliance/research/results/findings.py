"""What to doubt in a result: one small judge per reason, each with its threshold, ranked by how much it matters."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from appliance.data.options import new_york_date
from appliance.domain.market import DAY, HOUR
from appliance.research.formats import money, percent
from appliance.research.results.evidence import LEVELS, Evidence, Finding, Level, monthly_profit, totals

FEW_TRADES, TOO_FEW_TRADES = 30, 10
"""Closed trades below which a mean says little, and nothing."""
TRADES_PER_PARAMETER = 10
"""A rule with more parameters than that for its trades can be fitted to anything."""
LARGE_PART = 0.5
"""Of the profit: from one trade, or not yet realised."""
THIN, TOO_THIN = 0.025, 0.10
"""Shares of a bar's volume (fractions) above which a fill would have moved the price."""
COSTLY = 1 / 3
"""Of the profit before costs, a fraction."""
DEEP = 0.05
"""A drawdown (fraction) that is worth a word."""
LONG_AGO = 0.2
"""Of the run's time, a fraction, since the last peak."""
GAPPY = 0.01
"""Of the bars there should be, a fraction."""
DENIED = 0.1
"""Of the intents, a fraction."""
YEAR = 365 * DAY
SURE = 0.95
"""Probability that the Sharpe ratio is above zero at which one may speak of skill."""
MONTHS = 6
"""Months below which the best of them is bound to matter."""

Judge = Callable[[Evidence], Finding | None]


def judge(evidence: Evidence) -> tuple[Finding, ...]:
    """All that is to be doubted, the gravest first."""
    found = [one for judge in JUDGES if (one := judge(evidence)) is not None]
    return tuple(sorted(found, key=lambda one: LEVELS.index(one.level)))  # stable: then in the order of the table


def _best_of(parts: Mapping[str, float], whole: float) -> tuple[str, float, float] | None:
    """The largest part, if the whole is a profit and the rest is not: its name, itself, the rest."""
    if not parts or not whole > 0:
        return None
    name = max(parts, key=lambda one: parts[one])
    rest = whole - parts[name]
    return (name, parts[name], rest) if rest <= 0 else None


# --- what was proved -------------------------------------------------------------------------------------------------


def look_ahead(seen: Evidence) -> Finding | None:
    """Whether anybody looked if it knows the future."""
    advice = "add --check to the backtest, or run appliance strategy check on its file"
    if seen.checked == "pass":
        return None
    if seen.checked == "fail":
        return Finding(
            "look_ahead", "serious", "It looks ahead", "the look-ahead check failed: decisions change when the future "
            "is cut off, so none of the figures can be had live", advice,
        )  # fmt: skip
    title = "The look-ahead check could not tell" if seen.checked else "Look-ahead check not run"
    return Finding("look_ahead", "warning", title,
                   "nobody knows whether the rule uses what it could not have known", advice)  # fmt: skip


def few_trades(seen: Evidence) -> Finding | None:
    """Too few to tell skill from luck."""
    count = len(seen.trades)
    if count >= FEW_TRADES:
        return None
    if not count:
        return Finding("few_trades", "serious", "No trade was closed",
                       f"{seen.fills} fills closed no trade: figures of trades mean nothing",
                       "use more data, or parameters that trade")  # fmt: skip
    return Finding(
        "few_trades", "serious" if count < TOO_FEW_TRADES else "warning", "Too few trades",
        f"{count} closed trades; below {FEW_TRADES} luck and skill look the same", "use more data, or more symbols",
    )  # fmt: skip


def unheard(seen: Evidence) -> Finding | None:
    """The data had nothing that the strategy listens to."""
    if seen.bars or seen.intents or not seen.kinds:
        return None
    return Finding("unheard", "serious", "It heard no bar",
                   f"on_bar hears trade bars, and there are only {', '.join(seen.kinds)}",
                   "give it trade bars, or let it decide in on_quote_bar, on_quote or on_trade")  # fmt: skip


def many_parameters(seen: Evidence) -> Finding | None:
    """More freedom than evidence."""
    count, trades = len(seen.settings), len(seen.trades)
    if count <= 1 or trades >= TRADES_PER_PARAMETER * count:
        return None
    return Finding("many_parameters", "warning", "Many parameters for few trades",
                   f"{count} numeric parameters, {trades} trades: less than {TRADES_PER_PARAMETER} trades for each",
                   "fix some parameters, use more data, and judge it on dates it was not chosen on")  # fmt: skip


def short_history(seen: Evidence) -> Finding | None:
    """Less than a year of data."""
    if len(seen.marks) < 2 or (span := seen.marks[-1].time - seen.marks[0].time) >= YEAR:
        return None
    return Finding("short_history", "warning", "Less than a year of data",
                   f"{span / DAY:.0f} days: annual figures are extrapolated, and one kind of market was seen",
                   "use several years, with a fall among them")  # fmt: skip


def unproven(seen: Evidence) -> Finding | None:
    """The Sharpe ratio may be zero."""
    if seen.skill is None or seen.skill >= SURE or seen.profit <= 0:
        return None
    return Finding("unproven", "warning", "The profit may be luck",
                   f"the probability that its Sharpe ratio is above zero is {percent(seen.skill, 1)}, "
                   f"below {percent(SURE, 0)}", "use more data before you trust it with money")  # fmt: skip


def parameter_edge(seen: Evidence) -> Finding | None:
    """A best value at the edge of what may be tried is seldom the best."""
    edges = [f"{one.name} = {one.value:g}" for one in seen.settings if one.value in (one.low, one.high)]
    if not edges:
        return None
    return Finding("parameter_edge", "warning", "A parameter is at the edge of its range",
                   f"{', '.join(edges)}: better values may lie beyond, and its neighbours on one side are unknown",
                   "widen the range in the strategy's declaration, and look at the neighbours")  # fmt: skip


# --- what made the result --------------------------------------------------------------------------------------------


def one_trade(seen: Evidence) -> Finding | None:
    """The best trade makes the result."""
    if len(seen.trades) < 2 or not (profit := seen.profit) > 0:
        return None
    best = max(seen.trades, key=lambda one: one.profit)
    part = float(best.profit) / profit
    if part <= LARGE_PART:
        return None
    without = "it is a loss" if part >= 1 else f"{percent(1 - part, 1)} of it is left"
    return Finding("one_trade", "serious" if part >= 1 else "warning", "One trade makes the result",
                   f"{best.symbol} made {money(float(best.profit))} of {money(profit)}; without it {without}",
                   "ask whether such a trade will come again; look at the median trade")  # fmt: skip


def one_symbol(seen: Evidence) -> Finding | None:
    """Without its best symbol it loses."""
    by_symbol = totals((one.symbol, float(one.profit)) for one in seen.trades)
    found = _best_of(by_symbol, sum(by_symbol.values()))
    if len(by_symbol) < 2 or found is None:
        return None
    symbol, best, rest = found
    return Finding("one_symbol", "warning", "One symbol makes the result",
                   f"{symbol} made {money(best)}; the other {len(by_symbol) - 1} together {money(rest)}",
                   "try symbols it was not made for")  # fmt: skip


def one_month(seen: Evidence) -> Finding | None:
    """Without its best month it loses."""
    by_month = monthly_profit(seen)
    found = _best_of(by_month, sum(by_month.values()))
    if len(by_month) < MONTHS or found is None:
        return None
    month, best, rest = found
    return Finding("one_month", "warning", "One month makes the result",
                   f"{month} made {money(best)}; the other {len(by_month) - 1} months together {money(rest)}",
                   "look at what happened then, and whether the rule was made knowing it")  # fmt: skip


def beaten(seen: Evidence) -> Finding | None:
    """The benchmark did better."""
    mine = seen.profit / seen.cash if seen.cash > 0 else 0.0
    if seen.benchmark is None or mine >= seen.benchmark:
        return None
    return Finding("beaten", "note", "The benchmark made more",
                   f"{percent(mine, 2)} against {percent(seen.benchmark, 2)} for buying and holding it",
                   "compare the drawdowns too: less risk may be worth less return")  # fmt: skip


def unrecovered(seen: Evidence) -> Finding | None:
    """It ends below its peak, since long."""
    if len(seen.marks) < 2:
        return None
    peak = max(seen.marks, key=lambda one: (one.equity, one.time))
    last, first = seen.marks[-1], seen.marks[0]
    depth, since = last.equity / peak.equity - 1 if peak.equity > 0 else 0.0, last.time - peak.time
    if depth > -DEEP or since < LONG_AGO * (last.time - first.time):
        return None
    return Finding("unrecovered", "warning", "It ends in a drawdown",
                   f"{percent(-depth, 1)} below its peak for {since / DAY:.0f} days, to the end",
                   "see whether it still works: run the last part alone with --start")  # fmt: skip


def still_open(seen: Evidence) -> Finding | None:
    """Something is held at the end, at a price nobody paid."""
    held = {symbol: quantity for symbol, quantity in seen.held.items() if quantity}
    if not held:
        return None
    large = seen.profit > 0 and seen.unrealised > LARGE_PART * seen.profit
    names = ", ".join(f"{symbol} {quantity:f}" for symbol, quantity in list(held.items())[:5])
    return Finding("still_open", "warning" if large else "note", "A position is open at the end",
                   f"{names}: {money(seen.unrealised)} of the result is not realised",
                   "its exit will cost, and is in no figure of trades")  # fmt: skip


# --- what trading would have cost ------------------------------------------------------------------------------------


def costs_double(seen: Evidence) -> Finding | None:
    """What is left when costs are twice what was assumed."""
    costs, gross = seen.costs, seen.profit + seen.costs
    if not costs > 0 or not gross > 0:
        return None
    doubled = seen.profit - costs
    told = (
        f"costs are {money(costs)}, {percent(costs / gross, 1)} of the {money(gross)} before them, and each further "
        f"cent a share is {money(seen.shares_traded / 100)}; with costs doubled, "
    )
    if doubled <= 0:
        level: Level = "serious" if seen.profit > 0 else "warning"
        return Finding("costs_double", level, "Costs decide the result", f"{told}{money(doubled)} is left",
                       "trade less often, or for larger moves; be sure of what your broker charges")  # fmt: skip
    if costs / gross <= COSTLY:
        return None
    return Finding("costs_double", "warning", "Costs are a large part", f"{told}{money(doubled)} is left",
                   "be sure of what your broker charges")  # fmt: skip


def no_costs(seen: Evidence) -> Finding | None:
    """Trading was free."""
    if not seen.fills or seen.fees > 0:
        return None
    return Finding("no_costs", "warning", "No commission was charged", f"{seen.fills} fills were free",
                   "choose what your broker charges, and a slippage")  # fmt: skip


def thin_volume(seen: Evidence) -> Finding | None:
    """Fills so large that they would have moved the price."""
    known = [one for one in seen.shares if one is not None]
    empty, large = len(seen.shares) - len(known), sum(one > THIN for one in known)
    if not large and not empty:
        return None
    grave = empty or max(known) > TOO_THIN
    told = [f"{large:,} of {len(seen.shares):,} fills took more than {percent(THIN, 1)} of their bar's volume, "
            f"at most {percent(max(known), 1)}"] if large else []  # fmt: skip
    told += [f"{empty} were on bars without volume"] if empty else []
    return Finding("thin_volume", "serious" if grave else "warning", "Fills on thin volume", "; ".join(told),
                   "trade less, or choose a participation limit and market impact")  # fmt: skip


def stale_orders(seen: Evidence) -> Finding | None:
    """Market orders that had to wait for a price."""
    patience = max(HOUR, 2 * seen.bar_length)
    late = [one for one in seen.waits if one > patience]
    if not late or seen.bar_length >= DAY:
        return None
    return Finding("stale_orders", "note", "Orders waited for the next session",
                   f"{len(late):,} of {len(seen.waits):,} market orders waited longer than "
                   f"{patience / HOUR:g} h for a price, at most {max(late) / HOUR:.1f} h",
                   "a price can jump over night: decide before the close, or close positions there")  # fmt: skip


def denied(seen: Evidence) -> Finding | None:
    """The guard refused part of what it wanted."""
    if not seen.denied:
        return None
    part = seen.denied / max(1, seen.intents)
    return Finding("denied", "warning" if part > DENIED else "note", "Orders were denied",
                   f"{seen.denied} of {seen.intents} intents ({percent(part, 1)}): this is not the rule alone",
                   "orders.jsonl has each; give more cash, smaller sizes or wider limits")  # fmt: skip


# --- what the data are worth -----------------------------------------------------------------------------------------


def gaps(seen: Evidence) -> Finding | None:
    """Bars that should be there are not."""
    if not seen.missing:
        return None
    part = seen.missing / (seen.bars + seen.missing)
    return Finding("gaps", "warning" if part > GAPPY else "note", "Bars are missing",
                   f"{seen.missing:,} of {seen.bars + seen.missing:,} ({percent(part, 2)}) inside the sessions",
                   "nothing is decided or stopped in a gap: get them, or know why they are missing")  # fmt: skip


def leaps(seen: Evidence) -> Finding | None:
    """A price that is another from one moment to the next: an unadjusted split, or a wrong row."""
    if not seen.leaps:
        return None
    first = seen.leaps[0]
    more = f", and {len(seen.leaps) - 1} more" if len(seen.leaps) > 1 else ""
    return Finding("leaps", "warning", "A price leaped",
                   f"{first.symbol} went from {first.before:.2f} to {first.after:.2f} by "
                   f"{new_york_date(first.time)}{more}: a split, a wrong row, or a gap in the data",
                   "look at them; --factors adjusts for splits and dividends")  # fmt: skip


def bad_rows(seen: Evidence) -> Finding | None:
    """Rows that could not be right were left out."""
    if not seen.bad:
        return None
    return Finding("bad_rows", "note", "Bad rows were left out", f"{seen.bad:,} rows could not be right",
                   "look at them: without --bad-rows quarantine each is named")  # fmt: skip


JUDGES: tuple[Judge, ...] = (
    unheard, look_ahead, leaps, costs_double, one_trade, few_trades, thin_volume, no_costs, parameter_edge,
    many_parameters, unproven, short_history, one_symbol, one_month, unrecovered, still_open, denied, gaps,
    stale_orders, beaten, bad_rows,
)  # fmt: skip
"""In the order they are told where they matter equally."""
