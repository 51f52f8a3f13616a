"""Every broker there is, each over what it stands on in tests: real client libraries over real sockets to stand-ins."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from decimal import Decimal
from pathlib import Path

from appliance.domain.trading import Order
from appliance.domain.venue import Rejection
from appliance.venues.alpaca import AlpacaBroker, AlpacaBrokerOptions
from appliance.venues.base import BrokerInterface
from appliance.venues.ibkr import IbkrBroker, IbkrTerms
from tests.standins.alpaca import AlpacaTrading
from tests.standins.alpaca.server import KEY, SECRET
from tests.standins.brokerage import Brokerage, Placed
from tests.standins.ibkr import IbkrStandIn
from tests.standins.ibkr.session import ACCOUNT
from tests.venues.contract.paper import paper
from tests.venues.contract.stage import SYMBOL, Stage, order


class OverBooks:
    """A broker whose stand-in keeps its books in a Brokerage: they are the truth, and their log what was accepted."""

    can = frozenset(("strangers", "link"))

    def __init__(self, name: str, books: Brokerage, make: Callable[[], BrokerInterface], cut: Callable[[], None]):
        self.name = name
        self.again = make
        self.cut = cut
        self._books = books
        self.broker = make()

    def price(self, bid: Decimal, ask: Decimal) -> None:
        self._books.price(SYMBOL, bid, ask)

    def fill(self, order_id: str, quantity: Decimal, price: Decimal) -> None:
        self._books.fill(self._placed(order_id)[-1].id, quantity, price)

    def accepted(self, order_id: str) -> int:
        return len(self._books.log.accepted(order_id))

    def executions(self, order_id: str) -> list[tuple[Decimal, Decimal]]:
        ids = {one.id for one in self._placed(order_id)}
        return [(one.quantity, one.price) for one in self._books.executions if one.order_id in ids]

    def books(self) -> tuple[Decimal, dict[str, Decimal]]:
        return self._books.cash, self._books.positions

    def stranger(self, order_id: str) -> None:
        self._books.place(order_id, SYMBOL, "buy", 7, type="limit", limit_price=50)

    def refused(self) -> list[tuple[Order, tuple[Rejection, ...]]]:
        return [
            (order(symbol="NOSUCH"), (Rejection.UNKNOWN_SYMBOL,)),
            (order(quantity=1_000_000), (Rejection.BUYING_POWER, Rejection.QUANTITY)),
        ]

    def _placed(self, order_id: str) -> list[Placed]:
        """The order, and those that took its place there."""
        names = (order_id, f"{order_id}~")
        return [
            one
            for one in self._books.orders.values()
            if one.client_id == order_id or one.client_id.startswith(names[1])
        ]


@contextmanager
def alpaca(folder: Path) -> Iterator[Stage]:
    """Real alpaca-py, REST and stream."""
    with AlpacaTrading() as server:
        options = AlpacaBrokerOptions(KEY, SECRET, url=server.rest_url, stream_url=server.stream_url)
        yield OverBooks("alpaca", server.books, lambda: AlpacaBroker(options), server.hang_up)


@contextmanager
def ibkr(folder: Path) -> Iterator[Stage]:
    """The real library that comes first on the path, over the gateway's socket protocol."""
    with IbkrStandIn() as gateway:
        terms = IbkrTerms(port=gateway.port, account=ACCOUNT)
        yield OverBooks("ibkr", gateway.books, lambda: IbkrBroker(terms), gateway.hang_up)


MAKERS: dict[str, Callable[[Path], AbstractContextManager[Stage]]] = {"alpaca": alpaca, "ibkr": ibkr, "paper": paper}
