"""Table of the problems that ``convbench run --dry-run`` would time."""

from __future__ import annotations

from rich.markup import escape
from rich.table import Table

from suites.cases.suite import Suite
from suites.timing.cell import describe, gibibytes, held, memory_allowed, memory_needed, obstacle
from suites.timing.estimate import shortfall
from suites.timing.schedule import Settings

from .consoles import out, remark


def show(chosen: Suite, settings: Settings) -> int:
    """Show the problems of the suite, their cost, and the algorithms that cannot do them."""
    count = f"{len(chosen.cases)} problem{'s' if len(chosen.cases) > 1 else ''}"
    table = Table(title=f"{escape(chosen.title)}: {count}")
    for heading in ("problem", "weights", "multiply-adds", "memory", "not by"):
        right = heading in ("multiply-adds", "memory")
        table.add_column(heading, justify="right" if right else "left", overflow="fold")
    memory, threads = memory_allowed(), max(settings.threads)
    for case in chosen.cases:
        able = [
            name
            for name in case.entrants(settings.algorithms)
            if obstacle(case.problem, name, threads, memory) is None
        ]
        needs = [memory_needed(case.problem, name, threads) for name in able]
        most = max(needs, default=held(case.problem))
        shown = f"{most / 2**20:.1f} MiB" if most < 2**40 else gibibytes(most)
        label = f"{case.problem.name}  " if case.problem.name else ""
        table.add_row(
            escape(label + describe(case)["problem"]), escape(case.weights),
            f"{case.problem.multiply_adds:.3g}", shown,
            ", ".join(n for n in settings.algorithms if n not in able),
        )  # fmt: skip
    out.print(table)
    out.print(
        f"{count} × {len(settings.algorithms)} algorithms × threads "
        f"{', '.join(map(str, settings.threads))}, within {settings.budget:g} s; five passes of "
        f"the contenders need about {settings.needed:.0f} s. Nothing was timed."
    )
    if lacking := shortfall(settings.budget, settings.needed):
        remark([lacking])
    return 0
