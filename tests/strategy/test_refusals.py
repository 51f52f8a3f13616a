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
        ("import random", "self.rng"),
        ("import numpy.random", "self.rng"),
        ("import numpy as np\nx = np.random.rand(3)", "self.rng"),
        ("from numpy import random as r", "self.rng"),
        ("import statistics\nx = statistics.random.random()", "self.rng"),
        ("from uuid import uuid4", "self.rng"),
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
        ("import numpy as np\nx = np.empty(3)", "np.zeros"),
        ("from numpy import empty_like", "np.zeros"),
        # by another name
        ("import numpy\nn = numpy\nx = n.random", "self.rng"),
        ("import numpy as np\nx = np.random.default_rng()", "self.rng"),
        ("from numpy.random import default_rng", "self.rng"),
        ("import numpy as np\nx = getattr(np, 'random')", "self.rng"),
        ("import numpy as np\nx = getattr(np, name)", "write the code out"),
        ("import statistics\nx = statistics.sys.modules['time']", "self.log"),
        ("from statistics import sys", "self.log"),
        ("import collections\nx = collections._sys", "self.log"),
        ("import enum\nx = enum.bltns.open('f')", "write the code out"),
        ("import functools\nx = functools._unknown", "self.log"),
        ("import math\nx = math.__loader__", "write the code out"),
        ("import numpy as np\nx = np.lib.npyio.DataSource", "self.state"),
        ("import appliance.strategy\nx = appliance.shell.clock", "allowed are"),
        ("import pandas\nx = pandas.Timestamp.now()", "70 MB"),
        # around self.state
        ("def f(self):\n    object.__setattr__(self, 'x', 1)", "self.state"),
        # what others of the host share
        ("from decimal import getcontext", "localcontext"),
        ("import decimal\ndecimal.getcontext().prec = 3", "localcontext"),
        ("import numpy as np\nnp.seterr(all='ignore')", "errstate"),
        # looking ahead
        ("import numpy as np\ndef f(x):\n    return np.roll(x, -1)", "x[1:] with x[:-1]"),
        ("import numpy as np\ndef f(x, n):\n    return np.roll(x, shift=-n)", "x[1:] with x[:-1]"),
        ("from numpy import roll as turn\ndef f(x):\n    return turn(x, (-1, 0))", "x[1:] with x[:-1]"),
        ("def f(self, closes):\n    return closes.base[-1]", "as it is given"),
        ("def f(self):\n    return self.closes.base", "as it is given"),
        ("from numpy.lib.stride_tricks import as_strided", "allowed are"),
        ("import numpy as np\nx = np.lib.stride_tricks.as_strided", "as it is given"),
        ("def f(x):\n    x.setflags(write=True)", "as it is given"),
        # the order of sets
        ("def f(self):\n    for one in {'A', 'B'}: pass", "sorted"),
        ("def f(self):\n    for one in set(self.symbols): pass", "sorted"),
        ("def f(self, a, b):\n    return [one for one in set(a) - b]", "sorted"),
        ("def f(self, a):\n    return list(frozenset(a))", "sorted"),
        ("def f(self, a):\n    return ','.join({one for one in a})", "sorted"),
        ("def f(self, a):\n    return set(a).pop()", "sorted"),
        ("def f(self, a):\n    return sum({one * 0.1 for one in a})", "sorted"),
        ("def f(self, a):\n    return next(iter(set(a)))", "sorted"),
        # state that is lost
        ("SEEN = 0\ndef f(self):\n    global SEEN\n    SEEN += 1", "self.state"),
        ("SEEN = []\ndef f(self):\n    SEEN.append(1)", "self.state"),
        ("SEEN: dict = {}\ndef f(self):\n    SEEN['x'] = 1", "self.state"),
        ("from collections import deque\nSEEN = deque()\ndef f(self):\n    SEEN.appendleft(1)", "self.state"),
        ("class A:\n    seen = []\n    def f(self):\n        self.seen.append(1)", "self.state"),
        ("class A:\n    count = 0\n    def f(self):\n        A.count += 1", "self.state"),
        ("class A:\n    count = 0\n    def f(self):\n        type(self).count = 1", "self.state"),
        ("class A:\n    seen = {}\n    def f(self):\n        A.seen['x'] = 1", "self.state"),
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
        "import numpy as np\ndef f(x):\n    return np.roll(x, 1), np.copy(x), np.zeros(3), np.__version__",
        "import numpy as np\nx = np.lib.stride_tricks.sliding_window_view",
        "def f(self):\n    self.base = self.sma('SPY', 10)\n    return self.base.value",
        "def f(self, a):\n    if a in {'A', 'B'}: return sorted(set(a)), len(set(a)), max(set(a))",
        "def f(self, a):\n    return sorted(one for one in set(a)), {one for one in {'A'}}, any(x for x in {1})",
        "def f(self, a):\n    return getattr(self, f'average_{a}'), getattr(a, 'close'), hasattr(a, 'bid')",
        "NAMES = ('A', 'B')\nWEIGHTS = {'A': 1}\ndef f(self):\n    return [WEIGHTS[one] for one in NAMES]",
        "SEEN = []\ndef f(self):\n    SEEN = []\n    SEEN.append(1)\n    return SEEN",
        "class A:\n    symbols = ['A', 'B']\n    def f(self):\n        self.state['y'].append(2)",
        "class A:\n    def on_start(self):\n        self.averages = {}\n        self.averages['A'] = self.sma('A', 3)",
        "from decimal import Decimal, localcontext",
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
