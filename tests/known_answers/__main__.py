"""``python -m tests.known_answers``: results that others published for strategies on recorded data, reproduced.

What happens is told on standard error; the last line of standard output is one JSON object. 1 when anything differs.
Without the recorded data (``APPLIANCE_REAL_DATA``, else ``../shared/data``) it says so and is content.
"""

from __future__ import annotations

import json
import sys
import time

from appliance.commands.options import sessions_cache, sessions_for
from tests.known_answers.entries import ANSWERS, chosen, without_entry
from tests.known_answers.running import Compared, as_rows, compared


def main() -> int:
    """Run all entries; 0 when every published figure is ours too."""
    if not ANSWERS.is_dir():
        print(f"the recorded data is not here: {ANSWERS} does not exist, so there is nothing to compare with")
        return 0
    sessions = sessions_for(sessions_cache())
    results = [
        Compared(name, "strategy", "a result like this", "no strategy for it", False) for name in without_entry()
    ]
    for one in results:
        print(f"{one.name}: {one.got}", file=sys.stderr)
    for entry in chosen():
        began = time.perf_counter()
        found = compared(entry, sessions)
        wrong = [one for one in found if not one.equal]
        verdict = "as published" if not wrong else f"{len(wrong)} of {len(found)} figures differ"
        print(f"{entry.name}: {verdict}, {time.perf_counter() - began:.1f} s", file=sys.stderr)
        for one in wrong:
            print(f"  {one.field}: published {one.expected}, here {one.got}", file=sys.stderr)
        results += found
    failed = sum(not one.equal for one in results)
    print(json.dumps({"passed": len(results) - failed, "failed": failed, "results": as_rows(results)}))
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
