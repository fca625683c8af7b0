"""A table of the families of problems: instances, cases, fills and explanations of each."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from algos.core.family import CONVOLUTION, DEBLURRING, MODULES, POOLING, Family
from suites.cases import generate
from suites.cases import pool_generate as pool_cases
from suites.cases import pool_size_formula as pool_shape
from suites.cases import size_formula as shape
from suites.cases.suite import Case

from . import deblur_instance, module_instance
from .deblur_instance import DeblurInstance
from .instance import ConvolutionInstance, Instance
from .module_instance import ModuleInstance
from .pool_instance import PoolInstance


@dataclass(frozen=True)
class FamilyCases:
    """Functions that generate, simplify and explain the problems of a family.

    Attributes
    ----------
    instance : `(case, seed) -> Instance`
        Gives a case its numbers.
    cases : `(count, seed, operations) -> list of Case`
        Generates cases.
    fills : `operation -> pairs of weights and pixels`
        Lists the numbers that an operation is tested on.
    simpler : `problem -> changes of its fields`
        Yields the boldest changes first.
    explain : `problem -> lines`
        Explains the problem's sizes.
    canaries : `path or None`
        Names the file of algorithms that must fail.
    """

    instance: Callable[[Case, int], Instance]
    cases: Callable[[int, int, Sequence[str]], list[Case]]
    fills: Callable[[str], tuple[tuple[str, str], ...]]
    simpler: Callable[[Any], Iterator[dict[str, Any]]]
    explain: Callable[[Any], list[str]]
    canaries: str | None = None


def _beside(name: str) -> str:
    return str(Path(__file__).with_name(name))


FAMILY_CASES: dict[Family, FamilyCases] = {
    CONVOLUTION: FamilyCases(
        ConvolutionInstance, generate.cases, generate.fills_for, generate.simpler,
        shape.explain, _beside("canaries.py"),
    ),
    POOLING: FamilyCases(
        PoolInstance, pool_cases.cases, pool_cases.fills_for, pool_cases.simpler,
        pool_shape.explain, _beside("pool_canaries.py"),
    ),
    # Pipelines are checked step by step before they are timed; verification judges their parts.
    MODULES: FamilyCases(
        ModuleInstance, lambda *_: [], lambda _: (("random", "random"),), lambda _: iter(()),
        module_instance.explain,
    ),
    DEBLURRING: FamilyCases(
        DeblurInstance, lambda *_: [], lambda _: (("random", "random"),), lambda _: iter(()),
        deblur_instance.explain,
    ),
}  # fmt: skip


def family_cases(problem: Any) -> FamilyCases:
    """Return the entry of the problem's family."""
    return FAMILY_CASES[problem.family]


def instance_of(case: Case, seed: int = 0) -> Instance:
    """Return the case with its numbers."""
    return family_cases(case.problem).instance(case, seed)
