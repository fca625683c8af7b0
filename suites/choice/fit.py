"""Fit the model of times (`algos.choice.model`) to timed problems.

``python -m suites.choice.fit`` times everyday problems on this machine and writes the model for
its processor. ``NUMBA_CPU_NAME=haswell`` makes the one for narrower registers. It takes about
fifteen minutes. The problems have a seed of their own, so that others can judge the model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from scipy.optimize import nnls

from algos.backend.emitter import target_cpu
from algos.choice import model as models
from algos.choice.model import Model
from algos.choice.terms import arithmetic, features
from algos.core.family import CONVOLUTION, POOLING
from algos.notation import parse
from algos.simd.registers import lanes_of
from suites.cases import everyday
from suites.cases.suite import Case
from suites.machine import limits

from .blocks import timed

#: Seed of the problems that the model is fitted to; regrets are measured on others.
SEED = 20_261
#: Problems of convolution and of pooling.
CONVOLUTIONS, POOLINGS = 400, 300
#: Parts of cross-validation.
FOLDS = 6
#: Weight of the error's square against that of the coefficients, tried in turn.
RIDGES = (1e-3, 1e-2, 3e-2)
#: Widths of the Gaussians, in standard deviations of the features, tried for all of them at first.
WIDTHS = (3.0, 5.0, 8.0)
#: Factors on the weight of one feature, tried in turn.
FACTORS = (0.5, 2.0)
#: Fewest problems that an algorithm needs to be in the model.
LEAST = 25


class Table:
    """Timed problems of one family as arrays.

    `x` (n, d) are features, `calls` and `prepares` (n, A) logarithms of seconds, NaN where missing,
    and `base` (n, A) logarithms of the formula of three constants.
    """

    def __init__(self, frame: pd.DataFrame) -> None:
        keys = ["problem", "weights", "threads"]
        wide = frame.pivot_table(index=keys, columns="algorithm", values=["time_s", "prepare_s"])
        times = wide["time_s"]
        self.names = [str(name) for name in times if times[name].notna().sum() >= LEAST]
        self.problems = [(parse(text), threads) for text, _, threads in wide.index]
        self.x = np.array([features(problem, threads) for problem, threads in self.problems])
        self.calls = np.log(wide["time_s"][self.names].to_numpy())
        self.prepares = np.log(wide["prepare_s"][self.names].to_numpy())
        self.terms = np.array([self._constants(i) for i in range(len(self.names))])
        self.base = np.log(
            np.stack([self._parts(i) @ self.terms[i] for i in range(len(self.names))], axis=1)
        )

    def _parts(self, i: int) -> np.ndarray:
        """Return one, multiply-adds by threads, and bytes of each problem, shape (n, 3)."""
        name = self.names[i]
        return np.array(
            [[1.0, arithmetic(name, p) / t, p.compulsory_bytes] for p, t in self.problems]
        )

    def _constants(self, i: int) -> np.ndarray:
        """Return the constants of the formula that fit best, relative to the times."""
        known = np.isfinite(self.calls[:, i])
        rows = self._parts(i)[known] / np.exp(self.calls[known, i])[:, None]
        scale = rows.max(axis=0)
        found, _ = nnls(rows / scale, np.ones(len(rows)))
        return np.maximum(found / scale, (1e-7, 1e-14, 1e-13))


class Fit:
    """Coefficients for a table, given weights of the features and a ridge."""

    def __init__(self, table: Table, weights: np.ndarray, ridge: float) -> None:
        self.table, self.ridge = table, ridge
        self.centre = table.x.mean(axis=0)
        self.weights = weights
        z = (table.x - self.centre) * weights
        squares = (z**2).sum(axis=1)
        near = np.exp(-0.5 * np.maximum(squares[:, None] + squares - 2 * z @ z.T, 0))
        self.z = z
        #: Kernel of the regression: Gaussians, and a wide prior on the linear function.
        self.kernel = near + 1.0 + 0.1 * z @ z.T

    def heights(self, target: np.ndarray, use: np.ndarray) -> np.ndarray:
        """Return the coefficient of each timed problem in `use`; the others have 0."""
        some = np.flatnonzero(use)
        kernel = self.kernel[np.ix_(some, some)]
        found = np.zeros(len(use))
        mean = target[some].mean()
        solved = np.linalg.solve(kernel + self.ridge * np.eye(len(some)), target[some] - mean)
        found[some] = solved
        return np.append(found, mean)

    def predicted(self, target: np.ndarray, folds: np.ndarray) -> np.ndarray:
        """Return predictions of `target`, each by the problems of the other folds."""
        known, found = np.isfinite(target), np.full(len(target), np.nan)
        for fold in range(FOLDS):
            use = known & (folds != fold)
            coefficients = self.heights(target, use)
            held = folds == fold
            found[held] = self.kernel[held] @ coefficients[:-1] + coefficients[-1]
        return found

    def model(self) -> Model:
        """Return the model fitted to all problems."""
        table = self.table
        folds = folds_of(len(table.x))
        targets = [table.calls[:, i] - table.base[:, i] for i in range(len(table.names))]
        spread = [np.nanstd(self.predicted(target, folds) - target) for target in targets]
        targets += [table.prepares[:, i] for i in range(len(table.names))]
        columns = np.stack([self.heights(t, np.isfinite(t)) for t in targets], axis=1)
        alphas, means = columns[:-1], columns[-1]
        constant = means + alphas.sum(axis=0)
        linear = np.concatenate([constant[None], 0.1 * self.z.T @ alphas])
        return Model(
            tuple(table.names), table.terms, self.centre, self.weights, self.z, linear, alphas,
            np.array(spread), *limits.single_rates(limits.known()),
        )  # fmt: skip


def folds_of(count: int) -> np.ndarray:
    """Return the fold of each problem."""
    return np.random.default_rng(0).permutation(count) % FOLDS


def regrets(table: Table, fit: Fit) -> np.ndarray:
    """Return time of the chosen over that of the fastest, minus 1, in cross-validation."""
    folds = folds_of(len(table.x))
    predicted = np.stack(
        [
            fit.predicted(table.calls[:, i] - table.base[:, i], folds) + table.base[:, i]
            for i in range(len(table.names))
        ],
        axis=1,
    )
    predicted[~np.isfinite(table.calls)] = np.inf
    chosen = np.take_along_axis(table.calls, predicted.argmin(axis=1)[:, None], axis=1)[:, 0]
    return np.exp(chosen - np.nanmin(table.calls, axis=1)) - 1


def loss(table: Table, fit: Fit) -> float:
    """Return what the search makes small: the mean of the logarithm of one plus the regret."""
    return float(np.log1p(regrets(table, fit)).mean())


def best_fit(table: Table) -> Fit:
    """Return the fit whose choices are the best in cross-validation, by coordinate search."""
    scale = table.x.std(axis=0)
    weights = np.divide(1.0, scale, out=np.zeros_like(scale), where=scale > 0)
    fits = [Fit(table, weights / width, ridge) for width in WIDTHS for ridge in RIDGES]
    best = min(fits, key=lambda fit: loss(table, fit))
    least = loss(table, best)
    for index in range(len(scale)):
        for factor in FACTORS:
            changed = best.weights.copy()
            changed[index] *= factor
            fit = Fit(table, changed, best.ridge)
            if (found := loss(table, fit)) < least:
                best, least = fit, found
    return best


def report(table: Table, fit: Fit) -> Iterator[str]:
    """Yield the figures of cross-validation."""
    found = regrets(table, fit)
    mean = np.exp(np.log1p(found).mean()) - 1
    yield (
        f"{len(table.x)} problems: regret {mean:.1%} in the geometric mean, "
        f"{np.percentile(found, 95):.1%} at the 95th percentile, {found.max():.0%} at worst"
    )


def cases_of(family: Any) -> list[Case]:
    """Return the problems of a family that models are fitted to."""
    if family is POOLING:
        texts = everyday.poolings(POOLINGS, SEED)
        return [Case(parse(text)) for text in texts]
    return [Case(parse(t), weights) for t, weights in everyday.problems(CONVOLUTIONS, SEED)]


def main(words: Sequence[str] | None = None) -> None:
    """Time the problems, or read their times, then fit and write the model."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--times", type=Path, help="file of times, written if it does not exist")
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument(
        "--of-pooling", action="store_true", help="keep the file's model of convolution"
    )
    options = parser.parse_args(words)
    arrays: dict[str, np.ndarray] = {}
    for family in (POOLING,) if options.of_pooling else (CONVOLUTION, POOLING):
        frame = _frame(family, options)
        table = Table(frame)
        fit = best_fit(table)
        for sentence in report(table, fit):
            print(f"{family.name}: {sentence}")
        arrays |= models.packed(family.name, fit.model())
    file = models.path(target_cpu(), 32 * lanes_of(4))
    if options.of_pooling and file.exists():
        with np.load(file) as before:
            arrays = {**before, **arrays}
    np.savez_compressed(file, allow_pickle=False, **arrays)
    print(f"wrote {file}")


def _frame(family: Any, options: argparse.Namespace) -> pd.DataFrame:
    file = options.times and options.times.with_suffix(f".{family.name}.pickle")
    if file and file.exists():
        return pd.read_pickle(file)
    frame = timed(cases_of(family), options.threads)
    if file:
        frame.to_pickle(file)
    return frame


if __name__ == "__main__":
    main()
