"""A sweep over ten years of five symbols: whatever is killed, what comes out is what an undisturbed one finds."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from tests.data.real import needs_real_data
from tests.integration.running import until
from tests.integration.sweeps import Sweep, dask_cluster, kept

pytestmark = needs_real_data
SWEEP = Sweep(lookbacks=10, parts=4)
"""``python -m tests.bench sweep`` does the same with 500 combinations."""


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[str, bytes]:
    """What an undisturbed sweep leaves, made in one process."""
    return SWEEP.done(tmp_path_factory.mktemp("undisturbed") / "out", "--jobs", 1)


def test_a_sweep_killed_half_way_goes_on_and_ends_in_the_same_bytes(
    undisturbed: dict[str, bytes], tmp_path: Path
) -> None:
    out = tmp_path / "out"
    before = SWEEP.killed(out, SWEEP.combinations // 2, "--jobs", 2)
    assert SWEEP.combinations // 2 <= len(before) < SWEEP.combinations
    assert not (out / "results.csv").exists()
    assert SWEEP.done(out, "--jobs", 2) == undisturbed
    after = kept(out)
    assert [row for row in after if row[1] == 1] == list(before)  # what was kept was not touched,
    assert len([row for row in after if row[1] == 2]) == SWEEP.combinations - len(before)  # and only the rest was run
    assert SWEEP.done(out, "--jobs", 2) == undisturbed
    assert kept(out) == after


@pytest.mark.parametrize("threads", [1, 2])
def test_a_cluster_that_loses_a_worker_finds_the_same(
    undisturbed: dict[str, bytes], tmp_path: Path, threads: int
) -> None:
    pytest.importorskip("distributed", reason="the extra cluster is not installed")
    out = tmp_path / "out"
    with dask_cluster(tmp_path / "dask", threads) as cluster:
        process = SWEEP.started(out, "--cluster", cluster.address)
        try:
            until(lambda: process.poll() is not None or len(kept(out)) >= 5, 120, "some outcomes")
            assert process.poll() is None, "it was over before a worker could be killed"
            os.kill(cluster.workers[0].pid, signal.SIGKILL)
            assert process.wait(300) == 0
        finally:
            process.kill()
            process.wait()
        assert cluster.workers[0].poll() == -signal.SIGKILL
    assert {name: (out / name).read_bytes() for name in undisturbed} == undisturbed
    assert {row[1] for row in kept(out)} == {1}
