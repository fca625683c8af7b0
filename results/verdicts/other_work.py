"""Other work on the machine during a run: from which counts on it is worth a clause.

The counts come from `suites.machine.noise`, which workers import: pandas stays out of here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

#: Cores that others may keep busy, and share of time a host may take, without a note.
FEW_CORES, LITTLE_STEAL = 0.1, 0.01
#: Interruptions per second of a working thread that need no note. On a quiet virtual machine of
#: two cores there were 7 to 15. Beside work of low priority (nice 19) on both cores there were 27
#: to 32, and the mean sample was 9 % longer than the shortest. Beside one or two processes of equal
#: priority there were 72 to 120, and with two threads 110 to 230.
FEW_SWITCHES = 50.0


def facts(noise: Mapping[str, Any], cores: int | None = None) -> list[str]:
    """Return a clause for each kind of other work; none if the machine was quiet."""
    said = []
    if (others := noise.get("other_cores") or 0.0) > FEW_CORES:
        of = f" of {cores}" if cores else ""
        said.append(f"other processes kept {others:.1f}{of} cores busy during the run")
    if (stolen := noise.get("steal") or 0.0) > LITTLE_STEAL:
        said.append(
            f"the host of this virtual machine took {100 * stolen:.0f} % of the processor time"
        )
    worked = noise.get("sampled_s") or 0.0
    if worked and (noise.get("switches") or 0) / worked > FEW_SWITCHES:
        said.append(
            f"while they were timed, algorithms had to give up a core "
            f"{noise['switches'] / worked:.0f} times a second"
        )
    return said
