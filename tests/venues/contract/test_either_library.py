"""Interactive Brokers under either library: the one that is installed, and its successor from a directory before it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
OVERLAY = Path(sys.prefix) / "ib-async"
WHICH = "import asyncio; asyncio.set_event_loop(asyncio.new_event_loop())\n\
from appliance.clients.ibkr import load; print(load().__name__)"


def _run(*command: str, before: Path | None = None) -> str:
    """What a child prints that finds ``before`` first. Fails with all of it where the child does."""
    path = os.pathsep.join(str(one) for one in (before, ROOT) if one is not None)
    done = subprocess.run(
        [sys.executable, *command], cwd=ROOT, env=os.environ | {"PYTHONPATH": path}, capture_output=True, text=True,
        timeout=150, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout[-6_000:] + done.stderr[-2_000:]
    return done.stdout


@pytest.fixture
def overlay() -> Path:
    if not (OVERLAY / "ib_async").is_dir():
        pytest.skip("ib_async is not beside what is installed: tools/bootstrap dev puts it there")
    return OVERLAY


@pytest.mark.skipif(sys.version_info >= (3, 14), reason="ib_insync is for Python up to 3.13")
def test_ib_insync_is_what_is_installed(overlay: Path) -> None:
    assert _run("-c", WHICH).strip() == "ib_insync"


def test_the_directory_that_comes_first_decides(overlay: Path) -> None:
    assert _run("-c", WHICH, before=overlay).strip() == "ib_async"


def test_the_contract_holds_on_ib_async_as_well(overlay: Path) -> None:
    told = _run("-m", "pytest", "-vv", "-k", "ibkr", "tests/venues/contract/test_contract.py", before=overlay)
    kept = [line for line in told.splitlines() if "::" in line]
    print("\n".join(kept))
    assert len(kept) >= 20
    assert all("PASSED" in line or "SKIPPED" in line for line in kept), told[-4_000:]
    assert sum("SKIPPED" in line for line in kept) <= 1, told[-4_000:]
