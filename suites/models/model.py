"""Model: the convolution and pooling layers of a network, each problem once with its count."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from algos.core.errors import ConvbenchError
from algos.core.sizes import extent
from algos.pooling import PoolProblem
from results.tables.labels import listed, plural
from results.tables.network import counted
from suites.cases.suite import Case, Suite


@dataclass(frozen=True)
class Layer:
    """A layer to time.

    Parameters
    ----------
    problem : Problem or PoolProblem
        Problem to time. Its name is that of the first node that asks for it.
    weights : str
        Source of the kernel. See `suites.cases.suite.Case`.
    nodes : tuple of str
        Names of all nodes that ask for the same problem. Their kernels may differ.
    """

    problem: Any
    weights: str
    nodes: tuple[str, ...]

    @property
    def count(self) -> int:
        """Number of nodes that ask for the problem."""
        return len(self.nodes)


@dataclass(frozen=True)
class LeftOut:
    """A layer that is not timed, its operator and the reason."""

    node: str
    operator: str
    reason: str


@dataclass(frozen=True)
class Model:
    """The layers of a network.

    Parameters
    ----------
    name : str
        Short name, such as that of the file.
    layers : tuple of Layer
        Layers to time. No two of them have the same problem.
    left_out : tuple of LeftOut
        Layers that cannot be timed. Each has its reason.
    others : mapping of str to int
        Number of nodes by operator. Convolution and pooling do not count.
    remarks : tuple of str
        Sentences for the user. Each names a difference between the network and what is timed.
    """

    name: str
    layers: tuple[Layer, ...]
    left_out: tuple[LeftOut, ...] = ()
    others: Mapping[str, int] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    @property
    def cases(self) -> tuple[Case, ...]:
        """One case for each layer; its name ends in its count."""
        return tuple(
            Case(
                replace(layer.problem, name=counted(layer.problem.name, layer.count)),
                weights=layer.weights,
            )
            for layer in self.layers
        )

    def suite(self) -> Suite:
        """Return the suite that times every layer.

        Raises
        ------
        ConvbenchError
            If no layer can be timed.
        """
        if not self.layers:
            why = f"; {self.notes()[0]}" if self.left_out else ""
            raise ConvbenchError(
                f"model {self.name!r} holds no convolution or pooling layer that can be timed{why}"
            )
        question = "How long do the layers take, and which algorithm is the fastest for each?"
        if self.left_out:
            question += f" {' '.join(self._left_out())}"
        return Suite(
            self.name, f"The layers of {self.name}", question, self.cases,
            seconds=10.0 + 5 * len(self.layers),
        )  # fmt: skip

    def notes(self) -> list[str]:
        """Return sentences on all that is not timed, and on what is timed otherwise."""
        said = [*self._left_out(), *self.remarks]
        if self.others:
            counts = [f"{name} {count}" for name, count in sorted(self.others.items())]
            said.append(f"Other operators are not timed: {', '.join(counts)}.")
        return said

    def _left_out(self) -> list[str]:
        """Return a sentence for each reason, with the layers that it keeps out."""
        reasons: dict[tuple[str, str], list[str]] = {}
        for one in self.left_out:
            reasons.setdefault((one.operator, one.reason), []).append(one.node)
        return [
            f"Left out: {operator} {listed(nodes)}: {reason}."
            for (operator, reason), nodes in reasons.items()
        ]

    def write(self, path: str | Path) -> Path:
        """Write the layers as a suite file for ``convbench run FILE.toml``; return its path.

        The kernels of a suite file are random.
        """
        suite, target = self.suite(), Path(path)
        lines = [f"{key} = {json.dumps(value, ensure_ascii=False)}" for key, value in (
            ("title", suite.title), ("question", suite.question), ("seconds", suite.seconds),
        )]  # fmt: skip
        lines += ["problems = ["]
        lines += [f"    {json.dumps(str(c.problem), ensure_ascii=False)}," for c in suite.cases]
        try:
            target.write_text("\n".join([*lines, "]", ""]), encoding="utf-8")
        except OSError as error:
            raise ConvbenchError(f"suite file {str(path)!r} cannot be written: {error}") from None
        return target


def fitted(problem: PoolProblem) -> PoolProblem:
    """Return a pooling problem without ``fit="ceil"`` where the stride fits anyway."""
    fits = all(
        (w + sum(sides) - extent(f, d)) % s == 0
        for w, sides, f, d, s in zip(
            problem.size, problem.padding, problem.window, problem.dilation, problem.stride,
            strict=True,
        )
    )  # fmt: skip
    return replace(problem, fit="floor") if fits else problem


def gathered(found: Iterable[tuple[Any, str]]) -> tuple[Layer, ...]:
    """Return the layers of (problem, weights) pairs; equal problems share a layer.

    The kernel of a layer is that of its first node.
    """
    layers: dict[Any, Layer] = {}
    for problem, weights in found:
        before = layers.get(problem)
        layers[problem] = (
            replace(before, nodes=(*before.nodes, problem.name))
            if before
            else Layer(problem, weights, (problem.name,))
        )
    return tuple(layers.values())


def others_of(operators: Iterable[str]) -> dict[str, int]:
    """Return the number of each operator, the most frequent first."""
    return dict(Counter(operators).most_common())


def summary(model: Model) -> str:
    """Return a sentence on the number of layers and of different problems."""
    nodes = sum(layer.count for layer in model.layers)
    return (
        f"{model.name}: {plural(nodes, 'layer')} of convolution and pooling, "
        f"{plural(len(model.layers), 'different problem')}."
    )
