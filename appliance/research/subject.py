"""The strategy under the lens: its text and parameters, and how to make it anew, as often as a check wants."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from typing import Any

from msgspec import Struct
from msgspec.structs import replace

from appliance.strategy import loader
from appliance.strategy.runner import StrategyRunner


class Subject(Struct, frozen=True):
    """``source`` is the text of ``file``, which is not read again; ``class_name`` "" means the only one in it."""

    name: str
    file: str
    source: str
    class_name: str = ""
    params: dict[str, str] = {}

    @property
    def digest(self) -> str:
        """The same for the same text."""
        return hashlib.sha256(self.source.encode()).hexdigest()[:16]

    def with_params(self, params: Mapping[str, str]) -> Subject:
        """The same strategy with some parameters changed."""
        return replace(self, params={**self.params, **params})

    def __call__(self, code: Any = None) -> StrategyRunner:
        """A runner that has not started, from a module of its own. Raises StrategyError when it does not load.

        ``code`` is what a host would give for a reload; nothing is reloaded here.
        """
        assert code is None
        return loader.load(
            self.source, self.file, name=self.name, class_name=self.class_name or None, params=self.params
        )
