"""``appliance backtest`` over ten years of one-minute bars of twenty symbols: how much memory, and how fast.

The file (about 20 million rows) is made in TMPDIR and lies there packed (350 MB) until the bench is over; the run keeps
its rows in a nameless file there too (another GB). ``peak_mb`` is the largest resident set of the whole run, reading
included; ``read_rows_per_s`` is what reading and checking alone make, ``bars_per_s`` the run after it. The strategy
holds all symbols and looks at them once a month, so that what is measured are the bars.

Where reading goes (1.3 us a row of processor time): unpacking 0.25 us, finding fields 0.25 us, digits into numbers
0.6 us, symbols 0.1 us, placing in sessions 0.05 us. Playing costs 0.5 us an event, most of it for making it. Row by
row, with Python's CSV reader, reading cost 2.7 us and playing 1.3 us, and all rows lay in memory.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
import time
from multiprocessing import Process
from pathlib import Path
from typing import Any

from appliance.commands.options import sessions_cache, sessions_for
from tests.bench import box
from tests.data import big

MINUTES = 390

READ = """
import json, resource, sys, time
from appliance.commands.options import sessions_cache, sessions_for
from appliance.data.options import FileOptions
from appliance.data.sources.files import FileSource
sessions = sessions_for(sessions_cache())
begin, used = time.perf_counter(), time.process_time()
source = FileSource([sys.argv[1]], FileOptions(bar_stamp="start", sessions=sessions))
read, used = time.perf_counter() - begin, time.process_time() - used
begin, playing = time.perf_counter(), time.process_time()
while not source.batch(8_192).done:
    pass
rows = source.report.events
print(json.dumps({
    "rows": rows, "read_rows_per_s": round(rows / read), "read_rows_per_cpu_s": round(rows / used),
    "played_per_s": round(rows / (time.perf_counter() - begin)),
    "played_per_cpu_s": round(rows / (time.process_time() - playing)),
    "reading_peak_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1000),
}))
"""


def run(options: argparse.Namespace) -> dict[str, Any]:
    """The figures of one run."""
    sessions = sessions_for(sessions_cache())
    with tempfile.TemporaryDirectory(prefix="bench-") as folder:
        path = Path(folder) / "bars.csv.gz"
        count = round(options.years * 252 * MINUTES)
        box.tell(f"making {count * options.symbols:,} rows")
        made = Process(target=big.write, args=(path, options.symbols, count, options.by_time, sessions))
        made.start()  # apart: a child's largest resident set is at least what its parent has when it begins
        made.join()
        environment = os.environ | {"PYTHONPATH": str(box.ROOT)}
        box.tell("reading")
        done = subprocess.run([sys.executable, "-c", READ, str(path)], env=environment, check=True, capture_output=True)
        figures = {"file_mb": round(path.stat().st_size / 1e6), **json.loads(done.stdout)}
        box.tell("appliance backtest")
        return {"symbols": options.symbols, "years": options.years, **figures, **_backtest(path, options.symbols)}


def _backtest(path: Path, symbols: int) -> dict[str, Any]:
    names = [f"S{number:02d}" for number in range(symbols)]
    parts = ",".join([str(round(90 / symbols, 2))] * symbols)
    command = [
        sys.executable, "-m", "appliance", "backtest", str(box.ROOT / "strategies" / "buy_and_hold.py"), "--data",
        str(path), "--bar-stamp", "start", "--param", f"symbols={','.join(names)}", "--param", f"parts={parts}",
        "--cash", "1000000", "--json",
    ]  # fmt: skip
    begin = time.perf_counter()
    child = subprocess.Popen(command, env=os.environ | {"PYTHONPATH": str(box.ROOT)}, stdout=subprocess.PIPE)
    assert child.stdout is not None
    told = json.loads(child.stdout.read().splitlines()[-1])
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    return {
        "peak_mb": round(usage.ru_maxrss / 1000), "bars": told["bars"], "bars_per_s": told["bars_per_second"],
        "orders": told["orders"], "seconds": round(time.perf_counter() - begin, 1),
        "cpu_seconds": round(usage.ru_utime + usage.ru_stime, 1), "exit": child.returncode,
    }  # fmt: skip
