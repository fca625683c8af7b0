"""A tiny run in a process of its own, for `test_resume.py` to kill.

Call it as ``python killed.py WORDS …``. Everything is as in `convbench` but for the report, which
takes longer than the run.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from suites import cli
from suites.commands import arguments
from suites.machine import limits
from suites.timing import progress as live
from suites.timing import schedule

if __name__ == "__main__":
    arguments.MIN_EFFECT = 99.0  # no difference matters: five passes decide everything
    schedule.MAX_BLOCKS = 2
    limits.measure = lambda: {
        "measured": limits.clock.utc().isoformat(), "caches": {}, "flops": {"float32": {"1": 1e9}},
        "bandwidth": {"DRAM": {"read": {"1": 1e9}}},
    }  # fmt: skip
    live.conclude = lambda path, made, state, *_: print(state) or 0
    sys.exit(cli.main(sys.argv[1:]))
