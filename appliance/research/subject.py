"""The strategy under the lens: its text and parameters, and how to make it anew, as often as a check wants."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import partial

from msgspec import Struct
from msgspec.structs import replace

from appliance.domain.market import Sessions
from appliance.research.scenes import Scene
from appliance.strategy import loader
from appliance.strategy.runner import StrategyRunner


class Subject(Struct, frozen=True):
    """``source`` is the text of ``file``, which is not read again; ``class_name`` "" means the only one in it."""

    name: str
    file: str
    source: str
    class_name: str = ""
    params: dict[str, str] = {}

    def with_params(self, params: Mapping[str, str]) -> Subject:
        """The same strategy with some parameters changed."""
        return replace(self, params={**self.params, **params})

    def __call__(self, sessions: Sessions | None = None) -> StrategyRunner:
        """A runner that has not started, from a module of its own. Raises StrategyError when it does not load."""
        return loader.load(
            self.source, self.file, name=self.name, class_name=self.class_name or None, params=self.params,
            sessions=sessions,
        )  # fmt: skip

    def on(self, scene: Scene) -> Callable[[], StrategyRunner]:
        """How to make it for a scene, whose sessions it knows."""
        return partial(self, scene.calendar)
