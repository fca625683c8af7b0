"""Write the times of a run as wisdom that is shipped for its processor.

``python -m suites.choice.ship RUN`` writes ``algos/choice/shipped/CPU.json``. Choices on a
processor of that type then know the run's problems without any tuning. Times of other libraries are
left out.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import pandas as pd

import results
from algos.choice import wisdom
from algos.choice.machine import FORMAT
from results.records.files import write_whole


def shipped_text(frame: pd.DataFrame) -> str:
    """Return the content of the file, one entry a line; seconds have four digits."""
    lines = [
        json.dumps(
            {
                "problem": entry.problem,
                "threads": entry.threads,
                "times": {
                    name: [
                        float(f"{value:.4g}")
                        for value in (time.time_s, time.low_s, time.high_s, time.prepare_s)
                    ]
                    for name, time in sorted(entry.times.items())
                },
            }
        )
        for entry in wisdom.entries_of(frame)
    ]
    about = frame.attrs.get("environment") or {}
    facts = {"format": FORMAT, "cpu": about.get("target"), "run": frame.attrs.get("id")}
    return f'{json.dumps(facts)[:-1]}, "entries": [\n' + ",\n".join(lines) + "\n]}\n"


def main(words: Sequence[str] | None = None) -> None:
    """Write the file of a run."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("run", help="id, suite or folder of a finished run")
    frame = results.read(results.find(parser.parse_args(words).run))
    cpu = frame.attrs["environment"]["target"]
    file = Path(wisdom.__file__).with_name("shipped") / f"{cpu}.json"
    file.parent.mkdir(exist_ok=True)
    print(write_whole(file, shipped_text(frame)))


if __name__ == "__main__":
    main()
