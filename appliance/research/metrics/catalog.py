"""Every figure of the analysis: its name, what it is, in which unit, whose formula it is and when it is not defined.

Units: ``fraction`` (0.05 is 5 %), ``USD``, ``ratio``, ``count``, ``days``, ``ns`` (lengths of time), ``bps``.
"""

from __future__ import annotations

from msgspec import Struct


class Metric(Struct, frozen=True):
    """One row. ``undefined`` says when the figure is None; "" for one that every run with a mark has."""

    name: str
    group: str
    label: str
    unit: str
    what: str
    source: str = ""
    undefined: str = ""


Row = tuple[str, str, str, str, str, str]
"""Name, label, unit, source, when it is not defined, what it is."""

_RETURN: tuple[Row, ...] = (
    ("total_return", "Total return", "fraction", "time-weighted", "",
     "Growth of equity from the opening to the last mark, cash that was added or taken left out."),
    ("profit", "Profit", "USD", "", "",
     "Last equity less the opening equity and the cash added since."),
    ("end_equity", "End equity", "USD", "", "",
     "Equity at the last mark."),
    ("peak_equity", "Peak equity", "USD", "", "",
     "Highest equity at a mark, the opening too."),
    ("days", "Days", "count", "", "",
     "Daily returns: days with a mark."),
    ("cagr", "CAGR, trading days", "fraction", "empyrical", "no growth is left, or it is too large for a number",
     "A year's growth when the periods of a year are that many daily returns."),
    ("cagr_calendar", "CAGR, calendar", "fraction", "", "no time has passed, or no growth is left",
     "A year's growth when 365.25 days are a year."),
    ("best_day", "Best day", "fraction", "", "no day",
     "Largest daily return."),
    ("worst_day", "Worst day", "fraction", "", "no day",
     "Smallest daily return."),
    ("mean_day", "Mean day", "fraction", "", "no day",
     "Arithmetic mean of the daily returns."),
    ("best_week", "Best week", "fraction", "", "no day",
     "Largest return of an ISO week."),
    ("worst_week", "Worst week", "fraction", "", "no day",
     "Smallest return of an ISO week."),
    ("best_month", "Best month", "fraction", "", "no day",
     "Largest return of a calendar month."),
    ("worst_month", "Worst month", "fraction", "", "no day",
     "Smallest return of a calendar month."),
    ("positive_days", "Positive days", "fraction", "", "no day",
     "Share of the daily returns above 0."),
    ("positive_months", "Positive months", "fraction", "", "no day",
     "Share of the months with a return above 0."),
    ("stability", "Stability", "ratio", "empyrical", "fewer than two days, or no change",
     "R² of the cumulated log return on time: 1 is a straight line."),
)  # fmt: skip

_RISK: tuple[Row, ...] = (
    ("volatility", "Volatility", "fraction", "", "fewer than two days, or no variance",
     "Standard deviation of daily returns (ddof 1), of a year."),
    ("downside_deviation", "Downside deviation", "fraction", "Sortino 1991", "no day misses it",
     "Root of the mean square of what days miss to the rate without risk, over all days, of a year."),
    ("skew", "Skew", "ratio", "Fisher-Pearson G1", "fewer than three days, or no variance",
     "Of daily returns, bias-corrected; below 0: the bad days are the far ones."),
    ("kurtosis", "Excess kurtosis", "ratio", "G2", "fewer than four days, or no variance",
     "Of daily returns, bias-corrected; 0 for a normal distribution."),
    ("value_at_risk_95", "Value at risk 95 %", "fraction", "empyrical", "no day",
     "The daily return that 5 % of the days were below, historical."),
    ("value_at_risk_99", "Value at risk 99 %", "fraction", "empyrical", "no day",
     "The daily return that 1 % of the days were below, historical."),
    ("conditional_value_at_risk_95", "Expected shortfall 95 %", "fraction", "Rockafellar and Uryasev 2000", "no day",
     "Mean of the worst 5 % of the daily returns, at least of the worst one."),
    ("tail_ratio", "Tail ratio", "ratio", "empyrical", "the 5th percentile is 0",
     "95th percentile of daily returns over the 5th, by size."),
)  # fmt: skip

_RATIOS: tuple[Row, ...] = (
    ("sharpe", "Sharpe ratio", "ratio", "Sharpe 1994", "fewer than two days, or no variance",
     "Mean of the daily excess returns over their deviation (ddof 1), of a year."),
    ("smart_sharpe", "Sharpe ratio, autocorrelated", "ratio", "Lo 2002, quantstats", "as the Sharpe ratio",
     "Sharpe ratio over the root of 1 + 2 Σ (n - k) / n |ρ|^k: trends between days do not count as skill."),
    ("probabilistic_sharpe", "Probabilistic Sharpe ratio", "fraction", "Bailey and López de Prado 2012",
     "fewer than four days, or no variance",
     "How likely the true Sharpe ratio is above 0, given length, skew and kurtosis."),
    ("deflated_sharpe", "Deflated Sharpe ratio", "fraction", "Bailey and López de Prado 2014",
     "as the probabilistic one",
     "How likely it is above what the best of so many trials would show by chance."),
    ("minimum_track_record", "Minimum track record", "days", "Bailey and López de Prado 2012",
     "the Sharpe ratio is not above 0",
     "Days it takes to be 95 % sure that the true Sharpe ratio is above 0."),
    ("sortino", "Sortino ratio", "ratio", "Sortino 1991", "no day misses the rate without risk",
     "Mean of the daily excess returns over their downside deviation, of a year."),
    ("omega", "Omega ratio", "ratio", "Keating and Shadwick 2002", "no day misses it",
     "Sum of what days exceed the rate without risk over the sum of what they miss."),
    ("calmar", "Calmar ratio", "ratio", "Young 1991", "no drawdown",
     "CAGR (trading days) over the largest drawdown."),
    ("recovery_factor", "Recovery factor", "ratio", "", "no drawdown",
     "Total return over the largest drawdown."),
    ("ulcer_performance", "Ulcer performance index", "ratio", "Martin 1987, quantstats", "no drawdown at a close",
     "Total return less the rate without risk over the ulcer index."),
    ("serenity", "Serenity index", "ratio", "KeyQuant 2017, quantstats", "no drawdown at a close, or no variance",
     "Sum of daily returns over the ulcer index times the mean of the worst 5 % of the depths in deviations of a day."),
)  # fmt: skip

_DRAWDOWN: tuple[Row, ...] = (
    ("drawdown", "Drawdown now", "fraction", "", "",
     "How far the last mark is below the highest one."),
    ("max_drawdown", "Largest drawdown", "fraction", "", "",
     "Lowest equity after a mark over that mark, less 1, at its worst; between marks too."),
    ("average_drawdown", "Average drawdown", "fraction", "", "no drawdown",
     "Mean of the depths of all drawdowns."),
    ("drawdowns", "Drawdowns", "count", "", "",
     "How often a peak was left."),
    ("drawdown_time", "Drawdown now, time", "ns", "", "",
     "Since the last peak; 0 at one."),
    ("max_drawdown_time", "Longest drawdown", "ns", "", "",
     "Longest time from a peak until it was reached again, or until the end."),
    ("max_recovery_time", "Longest recovery", "ns", "", "none has recovered",
     "Longest time from the lowest moment of a drawdown until its peak was reached again."),
    ("under_water", "Time under water", "fraction", "", "",
     "Share of the marks below an earlier one."),
    ("ulcer_index", "Ulcer index", "fraction", "Martin 1987", "no drawdown at a close",
     "Root of the mean square of the depths at daily closes, over n days."),
)  # fmt: skip

_COMPARED = "no benchmark, or too few days of it"
_BENCHMARK: tuple[Row, ...] = (
    ("benchmark_return", "Return of the benchmark", "fraction", "", _COMPARED,
     "Growth of the benchmark over the same days."),
    ("benchmark_cagr", "CAGR of the benchmark", "fraction", "", _COMPARED,
     "Its growth of a year, by trading days."),
    ("excess_return", "Return above the benchmark", "fraction", "", _COMPARED,
     "Total return of the days compared less that of the benchmark."),
    ("alpha", "Alpha", "fraction", "Jensen 1968, empyrical", _COMPARED,
     "Mean of the daily excess returns less beta times the benchmark's, compounded to a year."),
    ("beta", "Beta", "ratio", "empyrical", _COMPARED,
     "Covariance with the benchmark over its variance."),
    ("correlation", "Correlation", "ratio", "Pearson", _COMPARED,
     "Of the daily returns with the benchmark's."),
    ("r_squared", "R² to the benchmark", "ratio", "", _COMPARED,
     "Square of the correlation."),
    ("tracking_error", "Tracking error", "fraction", "", _COMPARED,
     "Standard deviation of the difference of the daily returns (ddof 1), of a year."),
    ("information_ratio", "Information ratio", "ratio", "Treynor and Black 1973", _COMPARED,
     "Mean of that difference over its deviation, of a year."),
    ("treynor", "Treynor ratio", "ratio", "Treynor 1965", _COMPARED,
     "CAGR less the rate without risk over beta."),
    ("up_capture", "Up capture", "ratio", "empyrical, by months", _COMPARED,
     "CAGR over the benchmark's in the months in which that rose."),
    ("down_capture", "Down capture", "ratio", "empyrical, by months", _COMPARED,
     "CAGR over the benchmark's in the months in which that fell."),
)  # fmt: skip

_TRADES: tuple[Row, ...] = (
    ("trades", "Trades", "count", "", "",
     "Closed trades, first in, first out."),
    ("long_trades", "Long trades", "count", "", "no trade",
     "Those that bought first."),
    ("win_rate", "Win rate", "fraction", "", "no trade",
     "Share of the trades with a profit after fees."),
    ("average_win", "Average win", "USD", "", "none was won",
     "Mean profit of the trades won."),
    ("average_loss", "Average loss", "USD", "", "none was lost",
     "Mean profit of the trades lost, below 0."),
    ("payoff", "Payoff ratio", "ratio", "", "none was won or none lost",
     "Average win over average loss, by size."),
    ("profit_factor", "Profit factor", "ratio", "", "nothing was lost",
     "What was won over what was lost, in money."),
    ("expectancy", "Expectancy", "USD", "", "no trade",
     "Mean profit of a trade."),
    ("expectancy_r", "Expectancy in R", "ratio", "Tharp", "none was lost",
     "Mean profit of a trade over the average loss: what a dollar at risk brings."),
    ("quality", "System quality number", "ratio", "Tharp", "fewer than two trades, or no variance",
     "Root of the trades times mean profit over its deviation (ddof 1)."),
    ("kelly", "Kelly fraction", "fraction", "Kelly 1956", "none was won or none lost",
     "Win rate less the rate of the others over the payoff ratio: more of the capital than this at risk is too much."),
    ("best_trade", "Best trade", "USD", "", "no trade",
     "Largest profit."),
    ("worst_trade", "Worst trade", "USD", "", "no trade",
     "Smallest profit."),
    ("net_of_best_trade", "Profit without the best trade", "USD", "", "no trade",
     "Sum of the profits of all other trades."),
    ("average_trade_return", "Average trade, return", "fraction", "", "no trade",
     "Mean of the profits over the values of their entries."),
    ("best_trade_return", "Best trade, return", "fraction", "", "no trade",
     "Largest profit over the value of its entry."),
    ("worst_trade_return", "Worst trade, return", "fraction", "", "no trade",
     "Smallest profit over the value of its entry."),
    ("wins_in_a_row", "Wins in a row", "count", "", "",
     "Most trades won one after another, in order of their exits."),
    ("losses_in_a_row", "Losses in a row", "count", "", "",
     "Most trades lost one after another."),
    ("average_holding", "Average holding time", "ns", "", "no trade",
     "From entry to exit."),
    ("longest_holding", "Longest holding time", "ns", "", "no trade",
     "From entry to exit."),
    ("average_mae", "Average adverse excursion", "USD", "Sweeney 1996", "no trade, or not all were watched",
     "Mean of the largest losses trades showed while they were held, before fees."),
    ("average_mfe", "Average favourable excursion", "USD", "Sweeney 1996", "no trade, or not all were watched",
     "Mean of the largest gains trades showed while they were held, before fees."),
    ("entry_efficiency", "Entry efficiency", "fraction", "", "no trade moved, or not all were watched",
     "What part of the way from the worst to the best price was still ahead at entry, mean of the trades."),
    ("exit_efficiency", "Exit efficiency", "fraction", "", "no trade moved, or not all were watched",
     "What part of that way was kept at exit."),
    ("trade_efficiency", "Trade efficiency", "fraction", "", "no trade moved, or not all were watched",
     "Gain before fees over that way."),
)  # fmt: skip

_EXPOSURE: tuple[Row, ...] = (
    ("exposure", "Exposure", "fraction", "", "",
     "Share of the marks with something held; of the time, where a mark is of a whole session."),
    ("gross", "Gross exposure now", "USD", "", "",
     "Value of what is held at the last mark, long and short added."),
    ("leverage", "Leverage now", "ratio", "", "equity is not above 0",
     "Gross exposure over equity at the last mark."),
    ("average_leverage", "Average leverage", "ratio", "", "equity is never above 0",
     "Mean over the marks."),
    ("max_leverage", "Largest leverage", "ratio", "", "equity is never above 0",
     "Largest gross exposure over equity at a mark, or after a fill where a mark is of a whole session."),
    ("max_net_leverage", "Largest net leverage", "ratio", "", "equity is never above 0",
     "Largest of long less short over equity, by size."),
)  # fmt: skip

_COSTS: tuple[Row, ...] = (
    ("fills", "Fills", "count", "", "",
     "Fills of all orders."),
    ("traded", "Traded", "USD", "", "",
     "Value bought and sold."),
    ("turnover", "Turnover", "ratio", "", "no mark, or no equity",
     "How often a year the average equity was turned over: half of what was traded."),
    ("fees", "Fees", "USD", "", "",
     "Commissions and fees of all bookings."),
    ("fees_bps", "Fees of what was traded", "bps", "", "nothing was traded",
     "Fees of fills over the value traded."),
    ("slippage", "Slippage", "USD", "", "no decision price is known",
     "What was paid above the price when the order was decided, or got below it; a cost is positive."),
    ("slippage_bps", "Slippage of what was traded", "bps", "", "no decision price is known",
     "Slippage over the value of the fills it was measured on."),
    ("shortfall", "Implementation shortfall", "USD", "Perold 1988", "no decision price is known",
     "Slippage and fees of those fills."),
    ("shortfall_bps", "Implementation shortfall of what was traded", "bps", "Perold 1988", "no decision price is known",
     "That over the value of those fills."),
    ("dividends", "Dividends", "USD", "", "",
     "Received less paid on short positions."),
    ("borrow", "Borrow fees", "USD", "", "",
     "Cash change by fees for borrowed shares, not above 0."),
    ("interest", "Interest", "USD", "", "",
     "Cash change by interest, below 0 when it was paid."),
    ("capacity", "Capacity at 2.5 % of volume", "USD", "", "no fill, or one without volume",
     "Opening equity with which the largest fill takes 2.5 % of its bar's volume."),
    ("mismatches", "Orders that differ from live", "count", "", "no live fills to compare with",
     "Orders that only one of the two has or that filled another quantity."),
    ("parity_bps", "Distance to live fills", "bps", "", "no order in both",
     "Root mean square of the distances of the average fill prices of orders that both have."),
)  # fmt: skip

GROUPS = {
    "Return": _RETURN, "Risk": _RISK, "Return for risk": _RATIOS, "Drawdown": _DRAWDOWN, "Benchmark": _BENCHMARK,
    "Trades": _TRADES, "Exposure": _EXPOSURE, "Costs": _COSTS,
}  # fmt: skip

METRICS: tuple[Metric, ...] = tuple(
    Metric(name, group, label, unit, what, source, undefined)
    for group, rows in GROUPS.items()
    for name, label, unit, source, undefined, what in rows
)
"""In the order they are shown."""
