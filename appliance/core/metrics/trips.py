"""Round trips: from no shares of a symbol to no shares again, and what they add up to. Money USD, times ns UTC."""

from __future__ import annotations

from decimal import Decimal

from msgspec import Struct, field
from msgspec.structs import replace

from appliance.core.metrics.returns import NOISE, Spread, ratio
from appliance.domain.trading import ZERO, Fill, Side

GRAIN = Decimal("1e-9")
"""To what the commission of a fill that ends one trip and begins the next is shared out; nothing of it is lost."""


class RoundTrip(Struct, frozen=True):
    """A closed one: ``quantity`` shares in all were entered on ``side`` and left again, at these average prices.
    ``profit`` is net of ``fees``; between 0 and 0 shares it is the same by average cost and by any other order."""

    symbol: str
    side: Side
    quantity: Decimal
    entry_price: Decimal
    exit_price: Decimal
    profit: Decimal
    fees: Decimal
    opened: int
    closed: int
    strategy: str = ""


class OpenTrip(Struct, frozen=True):
    """One under way: shares held (signed) and entered in all, what the entries cost and the exits brought (USD, without
    sign), commissions, and when it began."""

    side: Side
    opened: int
    held: Decimal = ZERO
    entered: Decimal = ZERO
    entries: Decimal = ZERO
    exits: Decimal = ZERO
    fees: Decimal = ZERO

    def entered_with(self, quantity: Decimal, price: Decimal, fee: Decimal) -> OpenTrip:
        """After ``quantity`` more shares at ``price``."""
        return replace(
            self,
            held=self.held + quantity * self.side.sign,
            entered=self.entered + quantity,
            entries=self.entries + quantity * price,
            fees=self.fees + fee,
        )

    def left_with(self, quantity: Decimal, price: Decimal, fee: Decimal) -> OpenTrip:
        """After ``quantity`` shares, at most those held, were given back at ``price``."""
        held = self.held - quantity * self.side.sign
        return replace(self, held=held, exits=self.exits + quantity * price, fees=self.fees + fee)

    def closed(self, symbol: str, time: int) -> RoundTrip:
        """The round trip it was, now that nothing is held."""
        return RoundTrip(
            symbol=symbol, side=self.side, quantity=self.entered, entry_price=self.entries / self.entered,
            exit_price=self.exits / self.entered, profit=(self.exits - self.entries) * self.side.sign - self.fees,
            fees=self.fees, opened=self.opened, closed=time,
        )  # fmt: skip


class RoundTrips(Struct):
    """The trips of one strategy that are under way, by symbol."""

    under_way: dict[str, OpenTrip] = {}

    def fill(self, fill: Fill) -> RoundTrip | None:
        """Book a fill; the trip it closed, if it did. One that crosses 0 closes a trip and opens the next."""
        trip = self.under_way.pop(fill.symbol, None) or OpenTrip(fill.side, fill.time)
        if fill.side is trip.side:
            self.under_way[fill.symbol] = trip.entered_with(fill.quantity, fill.price, fill.commission)
            return None
        closing = min(fill.quantity, abs(trip.held))
        opening = fill.quantity - closing
        fee = (fill.commission * closing / fill.quantity).quantize(GRAIN) if opening else fill.commission
        trip = trip.left_with(closing, fill.price, fee)
        if trip.held:
            self.under_way[fill.symbol] = trip
            return None
        if opening:
            following = OpenTrip(fill.side, fill.time).entered_with(opening, fill.price, fill.commission - fee)
            self.under_way[fill.symbol] = following
        return trip.closed(fill.symbol, fill.time)

    def split(self, symbol: str, held: Decimal, cash: Decimal, time: int) -> RoundTrip | None:
        """A split has left ``held`` shares (signed) of what is under way; a fraction was paid out by ``cash`` USD,
        which belongs to what the exits bring. The trip it closed, where nothing is left."""
        trip = self.under_way.pop(symbol, None)
        if trip is None:
            return None
        trip = replace(trip, exits=trip.exits + cash * trip.side.sign)
        if not held:
            return trip.closed(symbol, time)
        self.under_way[symbol] = replace(trip, held=held, entered=trip.entered * held / trip.held)
        return None

    def rename(self, symbol: str, becomes: str) -> None:
        """What is under way in a symbol goes on by another name; where that has a trip of its own, it stays apart."""
        if becomes and becomes not in self.under_way and symbol in self.under_way:
            self.under_way[becomes] = self.under_way.pop(symbol)


class Tally(Struct):
    """What closed round trips add up to. ``won`` and ``lost`` (not above 0) are net of fees; one that ends at exactly 0
    is neither won nor lost, but counts. ``run`` is how many the last ones in a row were won (negative: lost)."""

    wins: int = 0
    losses: int = 0
    won: Decimal = ZERO
    lost: Decimal = ZERO
    best: Decimal | None = None
    worst: Decimal | None = None
    held: int = 0
    longest: int = 0
    run: int = 0
    wins_in_a_row: int = 0
    losses_in_a_row: int = 0
    profits: Spread = field(default_factory=Spread)

    def add(self, trip: RoundTrip) -> None:
        """Count a closed trip in."""
        profit, duration = trip.profit, trip.closed - trip.opened
        self.wins += profit > 0
        self.losses += profit < 0
        self.won += max(profit, ZERO)
        self.lost += min(profit, ZERO)
        self.best = profit if self.best is None else max(self.best, profit)
        self.worst = profit if self.worst is None else min(self.worst, profit)
        self.held += duration
        self.longest = max(self.longest, duration)
        self._in_a_row(profit)
        self.profits.add(float(profit))

    def _in_a_row(self, profit: Decimal) -> None:
        sign = (profit > 0) - (profit < 0)
        self.run = self.run + sign if self.run * sign > 0 else sign
        self.wins_in_a_row = max(self.wins_in_a_row, self.run)
        self.losses_in_a_row = max(self.losses_in_a_row, -self.run)

    @property
    def trips(self) -> int:
        """Closed trips counted."""
        return self.profits.n

    @property
    def win_rate(self) -> float | None:
        """Share of the trips that were won."""
        return ratio(self.wins, self.trips)

    @property
    def average_win(self) -> Decimal | None:
        """USD."""
        return self.won / self.wins if self.wins else None

    @property
    def average_loss(self) -> Decimal | None:
        """USD, below 0."""
        return self.lost / self.losses if self.losses else None

    @property
    def payoff(self) -> float | None:
        """Average win over average loss, above 0; None without the one or the other."""
        return ratio(float(self.won) * self.losses, -float(self.lost) * self.wins) if self.wins else None

    @property
    def profit_factor(self) -> float | None:
        """What was won over what was lost, in money (not in percent); None while nothing was lost."""
        return ratio(float(self.won), -float(self.lost))

    @property
    def expectancy(self) -> Decimal | None:
        """Average profit of a trip, USD."""
        return (self.won + self.lost) / self.trips if self.trips else None

    @property
    def quality(self) -> float | None:
        """System quality number: root of the trips times average profit over its deviation (ddof 1)."""
        deviation = self.profits.deviation
        if deviation is None or not deviation > NOISE * max(1.0, abs(self.profits.mean)):
            return None
        return ratio(self.trips**0.5 * self.profits.mean, deviation)

    @property
    def average_holding(self) -> int | None:
        """How long a trip lasts on average, ns."""
        return self.held // self.trips if self.trips else None
