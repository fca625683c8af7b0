"""A tiny run in a process of its own, for `test_resume.py` to kill: python killed.py WORDS …

Everything is as in `convbench` but for the report, which takes longer than the run.
"""

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[2]))

from suites import cli
from suites.machine import limits
from suites.timing import progress as live
from suites.timing import schedule

if __name__ == "__main__":
    cli.MIN_EFFECT = 1e6  # of what is no matter: five passes decide everything
    schedule.MAX_BLOCKS = 2
    limits.measure = lambda: {"measured": limits.clock.utc().isoformat()}
    live._conclude = lambda path, made, state, out: print(state) or 0
    sys.exit(cli.main(sys.argv[1:]))
