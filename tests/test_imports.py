"""The direction of imports: report → results; suites → algos, results; algos → nothing."""

import ast
import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Which of our packages the files of each may import.
ALLOWED = {
    "algos": {"algos"},
    "results": {"results", "algos"},  # algos.core.errors alone; see below
    "suites": {"suites", "results", "algos", "report"},
    "report": {"report", "results", "algos"},
    "convbench": {"suites", "results", "algos"},
}
OURS = set(ALLOWED)


def imported_modules(source: Path) -> set[str]:
    """Absolute names of all modules that `source` imports, relative imports resolved."""
    package = source.relative_to(ROOT).with_suffix("").parts[:-1]
    names = set()
    for node in ast.walk(ast.parse(source.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {module} | {f"{module}.{alias.name}" for alias in node.names}
    return names


def sources(package: str) -> list[Path]:
    single = ROOT / f"{package}.py"
    return [single] if single.exists() else sorted((ROOT / package).rglob("*.py"))


@pytest.mark.parametrize("package", sorted(OURS))
def test_imports_run_one_way(package):
    for source in sources(package):
        for module in imported_modules(source):
            top = module.split(".")[0]
            assert top not in OURS or top in ALLOWED[package], f"{source.name} imports {module}"


@pytest.mark.parametrize("package", ["results", "report"])
def test_results_use_nothing_of_algos_but_its_error(package):
    for source in sources(package):
        ours = {m for m in imported_modules(source) if m.split(".")[0] == "algos"}
        assert all(m.startswith("algos.core.errors") for m in ours), source.name


def test_oracle_imports_nothing_of_what_it_judges():
    modules = imported_modules(ROOT / "suites" / "oracle.py")
    assert not {m for m in modules if m.split(".")[0] in OURS - {"suites"}}
    assert "suites" not in {m.split(".")[0] for m in modules}


def test_one_file_alone_reads_a_clock():
    readers = [
        source.name
        for package in OURS
        for source in sources(package)
        if imported_modules(source) & {"time", "timeit", "datetime", "time.perf_counter_ns"}
    ]
    assert set(readers) <= {"clock.py", *_readers_of_dates(readers)}, readers


def _readers_of_dates(names: list[str]) -> set[str]:
    """Files that parse a date from a record but never ask for the present one."""
    return {
        name
        for name in names
        for source in (ROOT / "results").rglob(name)
        if ".now(" not in source.read_text() and "import time" not in source.read_text()
    }


def test_import_algos_is_light():
    code = "import sys, algos; print(' '.join(m for m in sys.modules))"
    modules = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    for heavy in ("scipy.signal", "pandas", "matplotlib", "suites", "results"):
        assert heavy not in modules
