"""The executions that were told, so that one that is corrected or undone later is known as the same.

The stream names an execution by an id of its own and a correction by the one before; the account's activities list each
as it is now, by order and cumulative quantity. Both lead to one key here, in whatever order they come. What was told
before the process started is not known: its corrections are only a reason to compare.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from decimal import Decimal

from msgspec.structs import replace

from appliance.domain.messages import VenueFill
from appliance.venues.alpaca.names import keep
from appliance.venues.alpaca.reading import plain

Content = tuple[Decimal, Decimal]


class Executions:
    """From any thread."""

    def __init__(self) -> None:
        self._by_id: OrderedDict[str, VenueFill] = OrderedDict()
        self._first: OrderedDict[str, Content] = OrderedDict()
        self._last: OrderedDict[str, VenueFill] = OrderedDict()
        self._moved: OrderedDict[str, str] = OrderedDict()
        self._one = threading.Lock()

    def heard(self, execution_id: str, fill: VenueFill) -> VenueFill:
        """A fill of the stream; as it is now, where it has been corrected already."""
        with self._one:
            if execution_id:
                keep(self._by_id, execution_id, self._last.get(fill.fill_key, fill))
            return self._known(fill)

    def corrected(
        self, previous_id: str, execution_id: str, content: Content, cumulative: Decimal, time: int, at: int
    ) -> VenueFill | None:
        """The execution that takes the place of another, by the stream; ``content`` is its quantity (0: undone) and
        price, ``cumulative`` what the order has filled with it. None: the other is not known."""
        with self._one:
            before = self._by_id.get(previous_id)
            if before is None or not execution_id:
                return None
            before = self._last.get(_base(before.fill_key), before)
            fill = self._in_place(before, content, time, at)
            keep(self._by_id, execution_id, fill)
            order, _, was = _base(before.fill_key).rpartition(":")
            now = Decimal(was) + content[0] - before.quantity
            for moved in (now, cumulative):
                if moved != Decimal(was) and content[0]:
                    keep(self._moved, f"{order}:{plain(moved)}", _base(before.fill_key))
            return fill

    def listed(self, fill: VenueFill) -> VenueFill:
        """A fill of the account's activities, as it is to be told: one that is otherwise than it was told takes its
        place; one that still lists what was corrected is known better."""
        with self._one:
            return self._known(fill)

    def _known(self, fill: VenueFill) -> VenueFill:
        base = self._moved.get(fill.fill_key, fill.fill_key)
        content, known = (fill.quantity, fill.price), self._last.get(base)
        if known is None:
            keep(self._first, base, content)
            keep(self._last, base, fill)
            return fill
        if content == self._first.get(base) or content == (known.quantity, known.price) or not known.quantity:
            return replace(known, at=fill.at)
        return self._in_place(known, content, fill.time, fill.at)

    def _in_place(self, before: VenueFill, content: Content, time: int, at: int) -> VenueFill:
        if content == (before.quantity, before.price):
            return replace(before, at=at)
        quantity, price = content
        what = f"{plain(quantity)}@{plain(price)}" if quantity else "bust"
        fill = replace(
            before, fill_key=f"{before.fill_key}:{what}", quantity=quantity, price=price, time=time, at=at,
            corrects=before.fill_key,
        )  # fmt: skip
        keep(self._last, _base(before.fill_key), fill)
        return fill


def _base(fill_key: str) -> str:
    """The key under which an execution was told first."""
    return ":".join(fill_key.split(":")[:2])
