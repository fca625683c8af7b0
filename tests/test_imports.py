"""Directions of imports: between packages, between the rooms of each, and no circle anywhere.

Imports inside functions count like those at the top of a file.
"""

import ast
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

#: Our packages that the files of each may import.
PACKAGES = {
    "algos": {"algos"},
    "results": {"results", "algos"},  # the errors of algos alone; see below
    "suites": {"suites", "results", "algos", "report", "convbench"},
    "report": {"report", "results", "algos"},
    "convbench": {"convbench", "algos", "suites", "results", "report"},
}

#: Rooms of a package from the lowest to the highest: a file imports from its own row or below.
#: Names are folders, or files beside them.
LEVELS = {
    "algos": [
        {"core"},
        {"backend"},
        {"simd"},
        {"adapters"},
        {"parallel", "integers"},
        {"naive", "im2col", "im2col_last", "toeplitz", "fft", "separable", "winograd"},
        {"low_rank", "kn2row", "mec", "indirect", "im2win"},
        {"pooling.core"},
        {"pooling.kernels"},
        {"pooling.algorithms"},
        {"inception.problem", "inception.algorithm", "deblurring.problem", "deblurring.algorithm"},
        {"peers"},
        {"functions"},
        {"plugins", "drivers"},
        {"registry", "notation"},
        {"choice.accuracy", "choice.machine", "choice.terms", "choice.values"},
        {"choice.model", "choice.wisdom"},
        {"choice.pins"},
        {"choice.decide"},
        {"choice.explain"},
        {"choice"},
        {"plan", "pooling.plan"},
        {"inception.plan", "deblurring.plan", "pooling.api", "pooling.parameters"},
        {"api", "filtering", "training", "pooling"},
        {"blocks.positions", "blocks.journal"},
        {"blocks.layout"},
        {"blocks"},
        {"dask"},
        {""},
    ],
    "suites": [
        {"machine"},
        {"cases"},
        {"models"},
        {"truth"},
        {"workers"},
        {"timing", "verification"},
        {"choice", "revisions"},
        {"cluster.hosts"},
        {"cluster.task"},
        {"cluster"},
        {"claims.claim", "claims.text"},
        {"claims.data", "claims.drawing", "claims.networks", "claims.timing"},
        {"claims.sources"},
        {"claims.catalogue", "claims.checking"},
        {"claims.page", "claims.terminal"},
        {"commands"},
        {"cli", "check_peers", "measures"},
        {"scale"},
    ],
    "results": [{"records"}, {"verdicts"}, {"tables"}, {"figures"}, {"page"}, {"plot"}, {""}],
}


@cache
def modules() -> dict[str, Path]:
    """Return the file of each of our modules, by dotted name."""
    files = [f for package in LEVELS for f in sorted((ROOT / package).rglob("*.py"))]
    files += [f for f in (ROOT / "report.py", ROOT / "convbench.py") if f.exists()]
    return {_name(f): f for f in files if "runs" not in f.parts}


def _name(source: Path) -> str:
    parts = source.relative_to(ROOT).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@cache
def imports(source: Path) -> frozenset[str]:
    """Return absolute names of everything `source` imports, relative imports resolved."""
    package = source.relative_to(ROOT).parts[:-1]
    names: set[str] = set()
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package[: len(package) - node.level + 1] if node.level else ()
            module = ".".join([*base, *([node.module] if node.module else [])])
            names |= {f"{module}.{alias.name}" for alias in node.names} | {module}
    return frozenset(names)


@cache
def graph() -> dict[str, set[str]]:
    """Return the modules of ours that each one imports, submodules rather than their package."""
    found: dict[str, set[str]] = {}
    for name, source in modules().items():
        ours = {module for module in imports(source) if module in modules()} - {name}
        covered = {a for a in ours for b in ours if b.startswith(f"{a}.")}
        found[name] = ours - covered
    return found


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """Return the strongly connected parts of more than one module (Tarjan, 1972)."""
    number: dict[str, int] = {}
    lowest: dict[str, int] = {}
    stack: list[str] = []
    found: list[list[str]] = []

    def visit(node: str) -> None:
        number[node] = lowest[node] = len(number)
        stack.append(node)
        for other in edges[node]:
            if other not in number:
                visit(other)
                lowest[node] = min(lowest[node], lowest[other])
            elif other in stack:
                lowest[node] = min(lowest[node], number[other])
        if lowest[node] == number[node]:
            part = stack[stack.index(node) :]
            del stack[stack.index(node) :]
            if len(part) > 1:
                found.append(sorted(part))

    for node in edges:
        if node not in number:
            visit(node)
    return found


def level(module: str) -> int:
    """Return the index in LEVELS of the longest entry that `module` lies in."""
    package, _, inside = module.partition(".")
    fits = [
        (len(room), index)
        for index, rooms in enumerate(LEVELS[package])
        for room in rooms
        if inside == room or inside.startswith(f"{room}.")
    ]
    if package == "algos" and not fits and "." not in inside:
        return level("algos.naive")  # an algorithm of one file needs no entry
    assert fits, f"{module} lies in no room of {package}; add it to LEVELS in {__file__}"
    return max(fits)[1]


def test_no_circle_of_imports():
    assert circles(graph()) == []


def test_a_circle_is_found():
    assert circles({"a": {"b"}, "b": {"c"}, "c": {"a"}, "d": {"a"}}) == [["a", "b", "c"]]


@pytest.mark.parametrize("package", sorted(PACKAGES))
def test_packages_import_one_way(package):
    for name, source in modules().items():
        if name.split(".")[0] == package:
            for module in imports(source):
                top = module.split(".")[0]
                assert top not in PACKAGES or top in PACKAGES[package], f"{name} imports {module}"


@pytest.mark.parametrize("package", sorted(LEVELS))
def test_rooms_import_one_way(package):
    """Package markers (`__init__.py`) that only name what a room offers are left out."""
    for name, others in graph().items():
        if name.split(".")[0] != package or modules()[name].name == "__init__.py":
            continue
        for other in others:
            if other.split(".")[0] == package:
                assert level(other) <= level(name), f"{name} imports {other}, which lies above it"


@pytest.mark.parametrize("package", ["results", "report"])
def test_results_use_nothing_of_algos_but_its_error(package):
    for name, source in modules().items():
        if name.split(".")[0] == package:
            ours = {m for m in imports(source) if m.split(".")[0] == "algos"}
            assert all(m.startswith("algos.core.errors") for m in ours), name


@pytest.mark.parametrize("oracle", ["oracle", "pool_oracle"])
def test_oracles_import_nothing_of_what_they_judge(oracle):
    """Files whose names begin with the oracle's are parts of it."""
    parts = [n for n in modules() if n.startswith(f"suites.truth.{oracle}")]
    assert f"suites.truth.{oracle}" in parts
    for part in parts:
        ours = {m for m in imports(modules()[part]) if m.split(".")[0] in PACKAGES}
        own = {m for m in ours if any(f"{m}.".startswith(f"{one}.") for one in parts)}
        assert ours <= own, f"{part} imports {ours - own}"


def test_one_file_alone_reads_a_clock():
    """The check without the harness and the process of a revision have loops of their own."""
    apart = ("suites.machine.clock", "suites.check_peers", "suites.revisions.driver")
    for name, source in modules().items():
        clocks = imports(source) & {"time", "timeit"}
        assert not clocks or name in apart, f"{name} imports {clocks}"
        dated = "datetime.now(" in source.read_text()
        assert not dated or name == "suites.machine.clock", f"{name} asks for the date"


def writes(source: Path) -> bool:
    """Return True if `source` calls something that writes files."""
    for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
            name = getattr(node.func, "attr", getattr(node.func, "id", ""))
            modes = [a.value for a in node.args if isinstance(a, ast.Constant)]
            if name in ("write_text", "write_bytes", "mkstemp", "fdopen", "unlink"):
                return True
            if name == "open" and any(isinstance(m, str) and set(m) & set("wa+") for m in modes):
                return True
    return False


def test_algorithms_write_no_files():
    """Wisdom, compiled code and the journal of blocks are what is remembered."""
    allowed = {"algos.choice.machine", "algos.choice.wisdom", "algos.blocks.journal"}
    found = {name for name, source in modules().items() if writes(source)}
    ours = {name for name in found if name.startswith("algos.")}
    assert {name for name in ours if not name.startswith("algos.backend.")} == allowed
    assert "results.records.files" in found


def test_private_parts_of_numba_stay_in_one_room():
    for name, source in modules().items():
        private = {
            m for m in imports(source) if m.startswith(("numba.core", "numba.np", "llvmlite"))
        }
        assert not private or name.startswith("algos.backend."), f"{name} imports {private}"


def test_import_algos_is_light():
    code = "import sys, algos; print(' '.join(m for m in sys.modules))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    ).stdout.split()
    for heavy in ("scipy.signal", "pandas", "matplotlib", "suites", "results"):
        assert heavy not in loaded
