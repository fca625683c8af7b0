"""Runs as JSON of pytest-benchmark, written and read.

A run becomes one file. A cell is a benchmark, a problem is its group, and a sample is a round.
The format has no passes, so ``extra_info`` keeps the cell and the samples of each pass, null where
one is missing. Header and end of the run are kept in ``machine_info``. A file written here is read
back as a run with the same times and verdicts. Cells without a sample, times to load, the budget
spent before each pass and names of hosts are lost.

A file of pytest-benchmark itself has no problems. Its groups take their place, and the benchmarks
of a group are compared as algorithms are. Each file is one process, and therefore one pass.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from algos.core.errors import ConvbenchError

from .checks import checked
from .columns import GROUP, CellRecord
from .fields import shown
from .files import words
from .records import plain
from .run import EndRecord, PassRecord, RunHeader, RunRecords

#: Keys of our entries in ``machine_info`` and ``extra_info``: of header or cell, and of the end.
OURS, END = "convbench", "convbench_end"
_EXPECTED = "give a file that pytest --benchmark-json=FILE wrote"
#: Samples by number of the pass; None where one is missing.
_Passes = dict[int, Sequence[float | None]]


def exported(run: RunRecords) -> str:
    """Return the timed cells of `run` as JSON that ``pytest-benchmark compare`` reads."""
    cells = {(cell.group, cell.algorithm): cell for cell in run.cells}
    samples: dict[tuple[int, str], _Passes] = {}
    for record in run.passes:
        for name, entries in record.samples_s.items():
            samples.setdefault((record.group, name), {})[record.number] = entries
    about = run.header.environment or {}
    content = {
        "machine_info": {
            "node": about.get("host"),
            "system": about.get("os"),
            "python_version": about.get("python"),
            "cpu": {"brand_raw": about.get("cpu"), "count": about.get("cores")},
            OURS: run.header.as_json(),
            END: run.end.as_json() if run.end else None,
        },
        "commit_info": {"id": about.get("git_commit"), "time": None, "project": OURS},
        "benchmarks": [
            _benchmark(cell, samples[place])
            for place, cell in cells.items()
            if cell.status == "ok" and _rounds(samples.get(place, {}))
        ],
        "datetime": run.header.started,
        "version": "5.0.0",
    }
    return json.dumps(plain(content), ensure_ascii=True, allow_nan=False, indent=1) + "\n"


def _benchmark(cell: CellRecord, passes: _Passes) -> dict[str, Any]:
    """Return one entry of ``benchmarks``; `passes` are the samples of each pass."""
    problem = "; ".join(
        part
        for part in (
            cell.name or cell.problem,
            cell.operation if cell.operation != "forward" else "",
            *(source for source in (cell.weights, cell.pixels) if source != "random"),
            f"{cell.threads} threads" if cell.threads > 1 else "",
        )
        if part
    )
    params = {name: getattr(cell, name) for name in (*GROUP, "algorithm")}
    return {
        "group": problem,
        "name": cell.algorithm,
        "fullname": f"{cell.suite}::{problem}::{cell.algorithm}",
        "params": params,
        "param": cell.algorithm,
        "extra_info": {OURS: {"cell": cell.as_json(), "samples_s": passes}},
        "options": {},
        "stats": _statistics(_rounds(passes), cell.loops),
    }


def _rounds(passes: _Passes) -> list[float]:
    """Return the samples of all passes, without missing ones."""
    return [sample for entries in passes.values() for sample in entries if sample is not None]


def _statistics(samples: Sequence[float], loops: int) -> dict[str, Any]:
    """Return the statistics that pytest-benchmark stores, and the samples as ``data``."""
    data = np.sort(samples)
    mean = float(data.mean())
    spread = float(data.std(ddof=1)) if data.size > 1 else 0.0
    q1, median, q3 = np.quantile(data, [0.25, 0.5, 0.75])
    inside = data[(data >= q1 - 1.5 * (q3 - q1)) & (data <= q3 + 1.5 * (q3 - q1))]
    far, outside = int(np.sum(np.abs(data - mean) > spread)), data.size - inside.size
    return {
        "min": data[0], "max": data[-1], "mean": mean, "stddev": spread, "rounds": data.size,
        "median": median, "iqr": q3 - q1, "q1": q1, "q3": q3, "iqr_outliers": outside,
        "stddev_outliers": far, "outliers": f"{far};{outside}", "ld15iqr": inside[0],
        "hd15iqr": inside[-1], "ops": 1 / mean, "total": data.sum(), "data": samples,
        "iterations": loops,
    }  # fmt: skip


def read_files(files: Sequence[Path]) -> RunRecords:
    """Return the run that `files` hold: one file written by `exported`, or passes of one suite.

    Raises
    ------
    ConvbenchError
        If a file is not JSON of pytest-benchmark, or if the files are of different machines.
    """
    contents = [_content(file) for file in files]
    about = contents[0]["machine_info"]
    if header := about.get(OURS):
        if len(files) > 1:
            raise ConvbenchError(f"{files[0]} is a whole run of convbench already; import it alone")
        end = [about[END]] if about.get(END) else []
        return _checked(files[0], [header, *_own_lines(files[0], contents[0]), *end])
    machine = _machine(contents[0])
    for file, content in zip(files, contents, strict=True):
        other = _machine(content)
        if name := next((key for key in machine if machine[key] != other[key]), None):
            raise ConvbenchError(
                f"{file}: {name} is {other[name]}, but that of {files[0]} is {machine[name]}; "
                f"import files of different machines as runs of their own"
            )
    records = [*_foreign(files, contents)]
    names = [record.algorithm for record in records if isinstance(record, CellRecord)]
    header = RunHeader(
        suite=files[0].stem, title=files[0].stem, started=contents[0].get("datetime"),
        baseline=max(names, key=names.count), algorithms=[*dict.fromkeys(names)],
        environment={name: value for name, value in machine.items() if value},
    )  # fmt: skip
    ended = EndRecord(finished=contents[-1].get("datetime"))
    return _checked(files[0], [record.as_json() for record in [header, *records, ended]])


def _checked(file: Path, lines: Sequence[Any]) -> RunRecords:
    """Return records of `lines`, each checked like those of a result file."""
    written = [json.dumps(plain(line)).encode() for line in lines]
    return checked(file.with_name(f"records of {file.name}"), [*enumerate(written, start=1)])


def _content(file: Path) -> dict[str, Any]:
    """Return the JSON of pytest-benchmark in `file`, its outer parts checked."""
    try:
        content = json.loads(file.read_bytes())
    except OSError as error:
        raise ConvbenchError(f"{file} cannot be read: {words(error)}") from None
    except (ValueError, RecursionError) as error:
        raise ConvbenchError(f"{file} is no JSON ({error}); {_EXPECTED}") from None
    if not isinstance(content, dict) or not isinstance(content.get("benchmarks"), list):
        raise ConvbenchError(f"{file} has no list 'benchmarks'; {_EXPECTED}")
    if not content["benchmarks"]:
        raise ConvbenchError(f"{file} holds no benchmark; run pytest with --benchmark-only first")
    if not isinstance(content.get("machine_info"), dict):
        raise ConvbenchError(f"{file} has no object 'machine_info'; {_EXPECTED}")
    return content


def _own_lines(file: Path, content: Mapping[str, Any]) -> Iterator[Any]:
    """Yield the cells and passes that `exported` wrote, as lines of a result file."""
    for at, entry in enumerate(content["benchmarks"]):
        try:
            kept = entry["extra_info"][OURS]
            yield kept["cell"]
            for number, samples in kept["samples_s"].items():
                yield PassRecord(
                    group=kept["cell"]["group"], number=int(number),
                    samples_s={kept["cell"]["algorithm"]: samples},
                ).as_json()  # fmt: skip
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            clause = f"{error} is missing or not of the expected type; export the run again"
            raise ConvbenchError(f"{file}, benchmark {at}: {clause}") from None


def _machine(content: Mapping[str, Any]) -> dict[str, Any]:
    """Return what pytest-benchmark says of the machine, in the words of our environment."""
    about = content["machine_info"]
    cpu = about.get("cpu") if isinstance(about.get("cpu"), dict) else {}
    return {
        "host": about.get("node"),
        "cpu": cpu.get("brand_raw"),
        "os": " ".join(str(about[name]) for name in ("system", "release") if about.get(name)),
        "python": about.get("python_version"),
    }


def _foreign(
    files: Sequence[Path], contents: Sequence[Mapping[str, Any]]
) -> Iterator[CellRecord | PassRecord]:
    """Yield cells and passes of files that pytest-benchmark wrote itself."""
    groups: dict[str, int] = {}
    known: set[tuple[int, str]] = set()
    for number, (file, content) in enumerate(zip(files, contents, strict=True)):
        passes: dict[int, dict[str, list[float]]] = {}
        for at, entry in enumerate(content["benchmarks"]):
            problem, algorithm, samples, loops = _parts(file, at, entry)
            group = groups.setdefault(problem, len(groups))
            taken = passes.setdefault(group, {})
            if algorithm in taken:
                raise ConvbenchError(
                    f"{file}, benchmark {at}: a second {algorithm!r} of {problem!r}; give "
                    f"benchmarks of one group different names"
                )
            taken[algorithm] = samples
            if (group, algorithm) not in known:
                known.add((group, algorithm))
                yield _cell_without_size(files[0].stem, group, problem, algorithm, loops)
        for group, taken in passes.items():
            yield PassRecord(group=group, number=number, samples_s=taken)


def _parts(file: Path, at: int, entry: Any) -> tuple[str, str, list[float], int]:
    """Return problem, algorithm, samples and calls per sample of one benchmark.

    A parameter called ``algorithm`` is the algorithm. Otherwise it is the name of the test.
    Without data, the median is the only sample.
    """
    try:
        name, stats = entry["name"], entry["stats"]
        test, params = name.split("[")[0], dict(entry.get("params") or {})
        samples = list(stats.get("data") or [stats["median"]])
        loops = int(stats.get("iterations", 1))
        group = entry.get("group")
        if "algorithm" in params:
            algorithm = str(params.pop("algorithm"))
            rest = (f"{key}={value}" for key, value in params.items())
            return ", ".join([group or test, *rest]), algorithm, samples, loops
        return group or entry["fullname"], name if group else test, samples, loops
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        clause = f"{shown(str(error))} is missing or not of the expected type; {_EXPECTED}"
        raise ConvbenchError(f"{file}, benchmark {at}: {clause}") from None


def _cell_without_size(
    suite: str, group: int, problem: str, algorithm: str, loops: int
) -> CellRecord:
    """Return the cell of a benchmark that is not one of our problems: one point, no work."""
    one = [1]
    return CellRecord(
        suite=suite, group=group, problem=problem, name=problem, operation="forward",
        kind="pytest-benchmark", algorithm=algorithm, dtype="float64", threads=1,
        weights="random", pixels="random", batch=1, in_channels=1, out_channels=1, groups=1,
        multiply_adds=0, flops=0, loops=loops, size=one, kernel=one, stride=one, dilation=one,
        output_size=one,
    )  # fmt: skip
