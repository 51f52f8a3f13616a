from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from tests.integration.running import ROOT, environment


@pytest.mark.parametrize("module", [("tests.bench.feed", "1", "1"), ("tests.bench.data_feed", "ws://127.0.0.1:1", "A")])
def test_a_feed_of_the_benches_comes_as_far_as_its_missing_specification(
    module: tuple[str, str, str], tmp_path: Path
) -> None:
    name, *rest = module
    ended = subprocess.run(
        [sys.executable, "-m", name, str(tmp_path), *rest],
        cwd=ROOT, env=environment(), capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert "spec.json cannot be read" in ended.stderr
