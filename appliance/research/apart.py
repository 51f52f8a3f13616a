"""A process of its own for what an author's code may do to it: hang, end, or fill the memory."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from types import TracebackType
from typing import Any, TypeVar

import msgspec

from appliance.errors import StrategyError

T = TypeVar("T")
_ROOT = str(Path(__file__).resolve().parents[2])


def environment(seed: int | None = None) -> dict[str, str]:
    """Ours, with this very code to import, and with a hash seed (None: as it comes)."""
    path = os.pathsep.join(filter(None, (_ROOT, os.environ.get("PYTHONPATH", ""))))
    chosen = {} if seed is None else {"PYTHONHASHSEED": str(seed)}
    return {**os.environ, "PYTHONPATH": path, **chosen}


class Apart:
    """Work for ``appliance.research.child``, which starts at once and is gone when the block ends."""

    def __init__(self, task: str, given: Any, seed: int | None = None) -> None:
        self._given = msgspec.json.encode(given)
        self._child = subprocess.Popen(
            [sys.executable, "-m", "appliance.research.child", task], env=environment(seed),
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
        )  # fmt: skip

    def __enter__(self) -> Apart:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._child.kill()
        self._child.communicate()

    def answer(self, kind: type[T], seconds: float) -> T:
        """What the work came to. Raises StrategyError when there is no answer within ``seconds``, or never one."""
        try:
            out, err = self._child.communicate(self._given, timeout=seconds)
        except subprocess.TimeoutExpired:
            raise StrategyError(
                f"it does not come to an end: no answer within {seconds:g} s",
                hint="look for a loop without an end, or for work that grows with every bar",
            ) from None
        if self._child.returncode:
            last = err.decode(errors="replace").strip().splitlines()[-1:]
            raise StrategyError(
                f"it ends its process, code {self._child.returncode}: {''.join(last) or 'without a word'}",
                hint="run it with `appliance backtest` to see where",
            )
        return msgspec.json.decode(out, type=kind)
