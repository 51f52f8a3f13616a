"""What of an account's cash is ours: the owner has said so much, and our fills and activities have changed it since."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING

from appliance.domain.messages import Event, Now
from appliance.domain.trading import ZERO, Account, Activity, Fill

if TYPE_CHECKING:
    from appliance.core.base import Core


class Allotment:
    """``cash`` is what the strategies had in all when they began (USD); None: the whole account is theirs."""

    def __init__(self, core: Core, cash: Decimal | None) -> None:
        self._cash = cash
        self._account = core.table("account", Account)
        self._change = core.table("allotted", Decimal)

    def filled(self, fill: Fill) -> None:
        """What was bought is paid, what was sold is earned, and its commission paid."""
        self._book(-fill.signed * fill.price - fill.commission)

    def happened(self, activity: Activity) -> None:
        """Dividends, fees and the like, as far as they are the strategies'."""
        self._book(sum((part.cash for part in activity.parts if part.strategy), ZERO))

    def accounted(self, event: Event, now: Now) -> None:
        """The account as the gateway tells it."""
        self._account[""] = event.body

    def free(self) -> Decimal | None:
        """How much of the account's cash (USD) is ours; None while that is not known."""
        account = self._account.get("")
        if account is None or self._cash is None:
            return account.cash if account is not None else None
        return min(account.cash, self._cash + self._change.get("", ZERO))

    def _book(self, change: Decimal) -> None:
        if self._cash is not None and change:
            self._change[""] = self._change.get("", ZERO) + change
