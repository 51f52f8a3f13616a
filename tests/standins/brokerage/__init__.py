"""A small brokerage, written independently of the code under test: what both brokers' stand-ins stand on.

    books = Brokerage(Decimal(100_000))
    books.price("SPY", "99.99", "100.01")                       # the market now; lists it; fills what it reaches
    one = books.place("id-1", "SPY", "buy", 10)                 # -> Placed, or raises Refusal(code, text, **facts)
    books.fill(one.id, 3, "100.00")                             # by hand; late=True: also after its end
    books.cancel(one.id); books.expire(one.id); books.reject(one.id, "text")
    books.replace(one.id, "id-2", limit_price="99")             # a new order in its place (Alpaca)
    books.modify(one.id, limit_price="99")                      # the same order, changed (Interactive Brokers)
    books.correct(number, price="99.5"); books.bust(number)     # an execution by its number
    with books.together(): ...                                  # several orders, which meet the market at its end
    books.split("SPY", 2, 1); books.dividend("SPY", "0.5"); books.fee("1.2"); books.interest("3"); books.rename(...)
    books.transfer(cash="10"); books.transfer("SPY", 5); books.delist("SPY")
    books.open_market(); books.close_market()                   # day orders expire
    books.orders, books.executions, books.positions, books.holdings, books.cash, books.equity, books.buying_power
    books.listen(lambda told: ...)                              # Told(what, order, execution, activity)
    books.log.accepted("id-1"), books.log.of("execution"), books.log.until(lambda records: ..., seconds)

Switches: ``automatic`` (False: nothing fills but by hand), ``slice`` (most shares of one match; the rest is matched at
the next price), ``commission`` (USD an execution), ``refuse_closed``,
``group_ends`` (a cancel of one of a group is one of all), ``asset(symbol, shortable=False, …)``.

From any thread: one lock guards all. Orders, executions and activities are immutable; a change makes a new one.
Listeners are called in the thread that caused the event, in order, under the lock: they must return at once
(``loop.call_soon_threadsafe``) and wait for nobody.
"""

from tests.standins.brokerage.brokerage import Brokerage
from tests.standins.brokerage.log import Log, Record
from tests.standins.brokerage.orders import OPEN, Activity, Asset, Execution, Holding, Placed, Refusal, Told
from tests.standins.brokerage.rules import RULES

__all__ = [
    "OPEN", "RULES", "Activity", "Asset", "Brokerage", "Execution", "Holding", "Log", "Placed", "Record", "Refusal",
    "Told",
]  # fmt: skip
