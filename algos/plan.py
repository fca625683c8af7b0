"""Plan: an algorithm made ready for one problem and one kernel, to be called many times.

The idiom is FFTW's and cuDNN's: what depends on the kernel alone is worked out once.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np

from .adapters import performer
from .backend import threads as pools
from .choice import AUTO, resolve
from .core.algorithm import Algorithm
from .core.arrays import check_addressable, check_apart, check_out, new, no_bias, read_only, take
from .core.bound import Bindable, Bound
from .core.errors import ConvbenchError
from .core.family import check_problem
from .core.problem import Problem

#: Names of the operands that a plan is called with.
_ROLES = {
    "forward": ("input",),
    "grad_input": ("output gradient",),
    "grad_weight": ("input", "output gradient"),
}


@lru_cache(maxsize=1024)
def _performer(chosen: Algorithm, problem: Problem) -> tuple[Algorithm, bool]:
    """Return the object that computes `problem`, and True if one thread is to compute it."""
    small = pools.is_small(problem.multiply_adds, problem.compulsory_bytes)
    return performer(chosen, problem), small and not chosen.is_peer


class Plan:
    """A callable for arrays of one shape: ``plan(x) -> y``, and likewise for the gradients.

    Call it with every operand except the kernel: the input x, or for "grad_input" the gradient g of
    the output. "grad_weight" takes both and no kernel.

    A plan keeps the kernel and the bias as they were when it was made: it does not see what is
    written into them later. With ``copy=False`` the caller promises to write nothing there.

    An algorithm chosen automatically may spread a NaN or infinity of the input to nearby outputs;
    the plan sees no input when it is made. ``accuracy="direct"`` rules that out.

    Attributes
    ----------
    problem : Problem
    algorithm : Algorithm
    threads : int
        How many threads a call may use: one where a second would cost more than it saves.
    """

    def __init__(
        self,
        problem: Problem,
        w: np.ndarray | None = None,
        bias: np.ndarray | None = None,
        *,
        algorithm: str | Algorithm = AUTO,
        threads: int | None = None,
        accuracy: str | float = "standard",
        memory: int | None = None,
        deterministic: bool = False,
        copy: bool = True,
    ) -> None:
        check_problem(problem, Problem)
        check_addressable(problem)
        if problem.operation != "grad_weight":
            w = take("kernel", w, problem.kernel_shape, np.dtype(problem.dtype))
        # Looked up each time: the registry may have changed.
        chosen = resolve(
            algorithm, problem, w, accuracy=accuracy, memory=memory, threads=threads,
            deterministic=deterministic,
        )  # fmt: skip
        asked = problem.with_images
        able, alone = _performer(chosen, asked)
        self.problem = problem
        self.algorithm = chosen
        count = 1 if alone and threads is None else pools.check(threads)
        self.threads = 1 if alone else count
        # What calls need, looked up once: a small call takes a few microseconds in all.
        self._dtype = dtype = np.dtype(problem.dtype)
        self._roles = _ROLES[problem.operation]
        self._able = able
        self._run = getattr(able, problem.operation)
        self._made_ready: tuple[Any, ...] = ()
        if problem.operation == "grad_weight":
            if w is not None or bias is not None:
                raise ConvbenchError(
                    "grad_weight computes a gradient from input and output gradient; "
                    "give no kernel and no bias to the plan"
                )
            if reason := able.why_not(asked):
                raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
            return
        assert w is not None
        if bool(problem.bias) != (bias is not None):
            raise ConvbenchError(
                f"the problem says bias={problem.bias}, but "
                f"{'no bias was given' if bias is None else 'a bias was given'}"
            )
        if bias is None:
            offset = no_bias(problem.out_channels, problem.dtype)
        else:
            offset = read_only(np.array(take("bias", bias, problem.bias_shape, dtype)))
        if reason := able.why_not(asked, w):
            raise ConvbenchError(f"{chosen.name} cannot do this: {reason}")
        if not problem.batch:  # nothing to compute
            return
        ready = self._prepare(able, w)
        # The caller may write to the kernel later, or give it as `out`; a peer may hold it unseen.
        if copy and (chosen.is_peer or _holds(ready, w)):
            ready = self._prepare(able, read_only(w.copy()))
        self._made_ready = (ready, offset) if problem.operation == "forward" else (ready,)

    def _prepare(self, able: Algorithm, w: np.ndarray) -> Any:
        """Make the kernel ready, on as many threads as a call may use."""
        if self.threads == 1:
            return able.prepare(self.problem, w, self.threads)
        with pools.share(self.threads) as count:
            return able.prepare(self.problem, w, count)

    def __repr__(self) -> str:
        problem, name = str(self.problem), self.algorithm.name
        return f"{type(self).__name__}({problem!r}, algorithm={name!r}, threads={self.threads})"

    def __call__(self, *arrays: np.ndarray, out: np.ndarray | None = None) -> np.ndarray:
        """Compute the result, into `out` where it is given, by name or as the last array.

        Parameters
        ----------
        *arrays : ndarray
            Operands, by operation. A forward plan takes x, ``(N, C, *size)``. A plan of
            grad_input takes g, ``(N, O, *output_size)``. A plan of grad_weight takes x and g.
        out : ndarray, optional
            In the problem's layout, sharing no memory with the others: ``(N, O, *output_size)``,
            ``(N, C, *size)`` or, C-contiguous, ``(O, C/groups, *kernel)``.
        """
        roles = self._roles
        if len(arrays) != len(roles):
            if len(arrays) != len(roles) + 1 or out is not None:
                raise ConvbenchError(
                    f"a plan for {self.problem.operation} is called with "
                    f"{' and '.join(roles)}, {len(arrays)} arrays were given"
                )
            *arrays, out = arrays  # type: ignore[assignment]
        problem, dtype = self.problem, self._dtype
        if out is None:
            result = new(problem.result_shape, dtype, problem.result_layout)
        else:
            check_out(out, problem.result_shape, dtype, problem.result_layout)
            result = out
        taken = self._taken(arrays, out)
        if not problem.batch:
            result[...] = 0  # the kernel's gradient, a sum of nothing; the others are empty
            return result
        if self.threads == 1:
            self._run(problem, *taken, *self._made_ready, result, self.threads)
            return result
        with pools.share(self.threads) as count:
            self._run(problem, *taken, *self._made_ready, result, count)
        return result

    def _taken(self, arrays: Sequence[np.ndarray], out: np.ndarray | None) -> list[np.ndarray]:
        """Return the operands as algorithms take them, sharing no memory with `out`."""
        taken = []
        for i, role in enumerate(self._roles):
            shape, layout = self.problem.operands[i], self.problem.layout
            array = take(role, arrays[i], shape, self._dtype, layout)
            if out is not None:
                check_apart(out, role, array)
            taken.append(array)
        return taken

    def bind(self, *arrays: np.ndarray, out: np.ndarray) -> Bound:
        """Return this computation as it is timed, for operands and an array that are kept.

        An algorithm of ours is called as a plan is, and writes into `out`. A peer's call is what
        its own users write; its result stays in the library until it is fetched into `out`. The
        caller sets the thread pools of libraries (`algos.backend.threads.use`).
        """
        if not isinstance(self._able, Bindable) or not self.problem.batch:
            return Bound(partial(self, *arrays, out))
        given = (*self._taken(arrays, out), *self._made_ready)
        return self._able.bind(self.problem, *given, threads=self.threads)


def _holds(ready: Any, w: np.ndarray) -> bool:
    """Return True if what was made ready refers to the memory of `w`."""
    if isinstance(ready, np.ndarray):
        return np.may_share_memory(ready, w)
    if isinstance(ready, tuple | list):  # often the numbers of a blocking
        return any(_holds(part, w) for part in ready if type(part) is not int)
    return hasattr(ready, "__dict__") and any(_holds(part, w) for part in vars(ready).values())
