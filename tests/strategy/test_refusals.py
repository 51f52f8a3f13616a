"""What a strategy may not reach is refused before it runs, with what to use instead."""

from __future__ import annotations

import ast

import pytest

from appliance.errors import StrategyError
from appliance.strategy.loader import load
from appliance.strategy.refusals import refusals


@pytest.mark.parametrize(
    ("source", "instead"),
    [
        # the clock
        ("import time", "self.now"),
        ("from time import time as t", "self.now"),
        ("from datetime import datetime", "self.now"),
        ("import numpy as np\nx = np.datetime64('now')", "self.now"),
        # chance
        ("import random", "decide from the data"),
        ("import numpy.random", "decide from the data"),
        ("import numpy as np\nx = np.random.rand(3)", "decide from the data"),
        ("from numpy import random as r", "decide from the data"),
        ("import statistics\nx = statistics.random.random()", "decide from the data"),
        ("from uuid import uuid4", "decide from the data"),
        # files, network, threads, the machine
        ("x = open('f')", "self.state"),
        ("import pathlib", "self.state"),
        ("import numpy as np\nx = np.load('f')", "self.state"),
        ("def f(x):\n    x.tofile('f')", "self.state"),
        ("import os", "self.log"),
        ("import os.path", "self.log"),
        ("import socket", "on_bar"),
        ("import urllib.request", "on_bar"),
        ("import threading", "on_bar"),
        ("from concurrent.futures import ThreadPoolExecutor", "on_bar"),
        ("import dataclasses\nx = dataclasses.sys.exit()", "self.log"),
        ("print('hello')", "self.log"),
        # doors
        ("x = eval('1')", "write the code out"),
        ("x = __import__('os')", "write the code out"),
        ("x = ().__class__.__subclasses__()", "write the code out"),
        ("x = __builtins__", "write the code out"),
        ("from math import *", "name what you import"),
        ("from . import other", "allowed are"),
        ("import appliance.shell.journal", "allowed are"),
        # what differs between two runs
        ("x = hash('SPY')", "differs from run to run"),
        # what is merely not there
        ("import pandas as pd", "70 MB"),
        ("import scipy", "allowed are"),
    ],
)
def test_what_it_may_not_reach_is_refused_and_the_way_out_named(source, instead):
    found = refusals(ast.parse(source))
    assert found
    assert any(instead in one.instead for one in found)


@pytest.mark.parametrize(
    "source",
    [
        "import math, numpy as np\nx = np.mean([1.0]) + math.pi",
        "import numpy as np\nx = np.lib.stride_tricks",
        "from collections import deque\nfrom collections.abc import Iterable\nimport collections.abc",
        "from decimal import Decimal\nfrom statistics import fmean, stdev\nfrom functools import cache",
        "from appliance.strategy import Strategy, param, Bar\nfrom appliance.domain.market import MINUTE",
        "def f(self):\n    return self.now, self.state, self.time, self.random, self.load('x')",
        "def f(bar):\n    bar.open = 1\n    return bar.open",
    ],
)
def test_what_a_rule_needs_is_allowed(source):
    assert refusals(ast.parse(source)) == []


def test_all_places_are_told_at_once_with_line_and_text():
    source = "import math\nimport time\n\ndef f():\n    return open('f')  # mine\n"
    with pytest.raises(StrategyError) as caught:
        load(source, "rule.py")
    assert "rule.py:2: import time\n    import time: use self.now" in caught.value.text
    assert "rule.py:5: return open('f')  # mine\n    open: a strategy has no files" in caught.value.text
    assert caught.value.exit_code == 4


def test_nothing_of_a_refused_file_runs():
    with pytest.raises(StrategyError, match="may not do this"):
        load("raise KeyboardInterrupt\nimport time\n", "rule.py")
