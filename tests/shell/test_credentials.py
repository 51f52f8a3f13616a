"""A credential is found where systemd lays it, else in the state directory, and nowhere is it open to others."""

from __future__ import annotations

import stat

import pytest

from appliance.errors import EnvironmentFault
from appliance.shell import credentials
from appliance.shell.paths import StatePaths


@pytest.fixture
def paths(tmp_path):
    paths = StatePaths(tmp_path / "state")
    paths.prepare()
    return paths


def test_what_is_kept_is_read_again_and_closed_to_others(paths):
    credentials.keep(paths, "alpaca", "key", "PKHUSH")
    assert credentials.read(paths, "alpaca", "key", {}) == "PKHUSH"
    assert stat.S_IMODE((paths.credentials / "alpaca-key").stat().st_mode) == 0o600


def test_systemds_credential_counts_before_the_kept_one(paths, tmp_path):
    credentials.keep(paths, "alpaca", "key", "kept")
    given = tmp_path / "given"
    given.mkdir()
    (given / "alpaca-key").write_text("systemd's\n")
    env = {"CREDENTIALS_DIRECTORY": str(given)}
    assert credentials.read(paths, "alpaca", "key", env) == "systemd's"
    credentials.keep(paths, "alpaca", "secret", "kept too")
    assert credentials.read(paths, "alpaca", "secret", env) == "kept too"


def test_a_credential_there_is_not_is_empty_and_one_that_cannot_be_read_is_told(paths):
    assert credentials.read(paths, "alpaca", "key", {}) == ""
    (paths.credentials / "alpaca-key").mkdir()
    with pytest.raises(EnvironmentFault, match="alpaca-key: cannot be read"):
        credentials.read(paths, "alpaca", "key", {})
