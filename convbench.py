"""Convenience module: convolve, plan, run a suite, and read its results.

Functions for convolution and pooling come from `algos`:

>>> import numpy as np, convbench
>>> convbench.convolve([1, 2, 3], [0, 1, 0.5])
array([0. , 1. , 2.5, 4. , 1.5])

A run of a suite returns a table:

>>> frame = convbench.run("sizes", algorithms=["fft", "parallel"])  # doctest: +SKIP

A plain function takes part in `run` and `verify` once it is registered:

>>> def mine(x, w, problem): ...
>>> convbench.register("mine", mine)  # doctest: +SKIP
"""

from __future__ import annotations

import sys
from collections.abc import Sequence
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import TYPE_CHECKING, Any

if "suites" not in sys.modules:  # loaded by path: a user may have a `suites` too
    _place = Path(__file__).resolve().parent / "suites" / "__init__.py"
    _spec = spec_from_file_location("suites", _place)
    assert _spec and _spec.loader
    sys.modules["suites"] = module_from_spec(_spec)
    _spec.loader.exec_module(sys.modules["suites"])

import algos
import results
from algos import *  # noqa: F403

if TYPE_CHECKING:
    import pandas as pd

    from suites.models.model import Model

__all__ = [*algos.__all__, "layers_of", "read", "run", "verify"]


def run(
    suite: str | Path | None = None,
    *,
    problems: Sequence[str] = (),
    model: str | Path | None = None,
    algorithms: Sequence[str] | str | None = None,
    threads: Sequence[int] | int = 1,
    budget: float | None = None,
    baseline: str | None = None,
    peers: bool = False,
    runs: str | Path | None = None,
) -> pd.DataFrame:
    """Time algorithms as ``convbench run`` does, and return the table of the run.

    Parameters
    ----------
    suite : str or Path, optional
        Name of a suite, or a ``.toml`` file. By default "quick".
    problems : sequence of str
        Descriptors of problems. They are timed instead of a suite.
    model : str or Path, optional
        ONNX file of a network. Its layers are timed instead of a suite.
    algorithms : sequence of str, optional
        Names of algorithms. By default those of the suite, and every function that was registered.
    threads : int or sequence of int
        Thread counts to time. Each one has cells of its own.
    budget : float, optional
        Seconds to spend. By default that of the suite.
    baseline : str, optional
        Algorithm that the others are compared with. By default the suite's.
    peers : bool
        Time other libraries too, where they are installed.
    runs : str or Path, optional
        Folder to keep runs in. By default ``results/runs`` in the current folder.

    Returns
    -------
    DataFrame
        One row per cell; see `read`.

    Raises
    ------
    ConvbenchError
        If an argument is invalid, or the run is interrupted.
    """
    from suites.cli import perform

    folder = Path(runs) if runs is not None else results.runs_folder()
    words = ["run", f"--runs={folder}", f"--threads={_listed(threads)}"]
    words += [f"--problem={problem}" for problem in problems]
    words += [] if model is None else [f"--model={model}"]
    words += [] if algorithms is None else [f"--algorithms={_listed(algorithms)}"]
    words += _function_files(algorithms)
    words += [] if budget is None else [f"--budget={budget}"]
    words += [] if baseline is None else [f"--baseline={baseline}"]
    words += ["--peers"] if peers else []
    perform(words + ([] if suite is None else ["--", str(suite)]))
    return results.read(results.latest(folder))


def verify(
    *, algorithms: Sequence[str] | str | None = None, cases: int = 200, seed: int = 0
) -> bool:
    """Verify algorithms as ``convbench verify`` does; return True if all are correct.

    Parameters
    ----------
    algorithms : sequence of str, optional
        Names of algorithms. By default all of ours, and every function that was registered.
    cases : int
        Number of generated problems of convolution, and again of pooling.
    seed : int
        Seed of the random problems and their values.
    """
    from suites.cli import perform

    words = ["verify", f"--cases={cases}", f"--seed={seed}", *_function_files(algorithms)]
    words += [] if algorithms is None else [f"--algorithms={_listed(algorithms)}"]
    return perform(words) == 0


def read(run: str | Path | None = None, runs: str | Path | None = None) -> pd.DataFrame:
    """Return the table of a run, one row for each problem, algorithm and thread count.

    Parameters
    ----------
    run : str or Path, optional
        Id of a run, its beginning, the name of a suite, or a folder. By default the latest run.
    runs : str or Path, optional
        Folder of all runs. By default ``results/runs`` in the current folder.
    """
    return results.read(results.latest(runs) if run is None else results.find(str(run), runs))


def layers_of(module: Any, *inputs: Any, name: str = "") -> Model:
    """Return the convolution and pooling layers of a ``torch.nn.Module``.

    Parameters
    ----------
    module : torch.nn.Module
        Network to read. It is called once with `inputs`; layers that this call skips are not found.
    inputs : tensors
        Arguments of the call. Their shapes decide the sizes of the layers.
    name : str
        Title of the network. By default the name of the module's class.

    Returns
    -------
    Model
        Its ``write("net.toml")`` makes a suite, which ``convbench.run("net.toml")`` times. See
        `suites.models.model.Model`.
    """
    from suites.models.torch_module import layers_of

    return layers_of(module, *inputs, name=name)


def main() -> int:
    """Run the command ``convbench``; return its exit code."""
    from suites.cli import main as run_command

    return run_command()


def _function_files(algorithms: Sequence[str] | str | None) -> list[str]:
    """Return the options that give workers the registered functions among `algorithms`."""
    from algos.registry import registered_functions
    from suites.workers.functions import file_of

    wanted = None if algorithms is None else _listed(algorithms).split(",")
    return [
        f"--algorithm-file={file_of(function)}"
        for name, function in registered_functions().items()
        if wanted is None or name in wanted
    ]


def _listed(values: Sequence[object] | object) -> str:
    """Return ``"1,2"`` for (1, 2), and a single value as text."""
    return ",".join(map(str, values)) if isinstance(values, list | tuple) else str(values)


if __name__ == "__main__":
    sys.exit(main())
