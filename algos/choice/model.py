"""Model of the time of a call, fitted to timed problems.

For an algorithm, the time of a call is first put down as c₀ + c₁·arithmetic + c₂·bytes. The three
constants are fitted, and scaled to a machine whose peak and bandwidth are known. The logarithm of
the measured time over this formula is a smooth function of the problem's sizes. It is a linear
function plus a sum of Gaussians around the timed problems (kernel ridge regression: Saunders,
Gammerman & Vovk, ICML 1998). The time of preparing a kernel has such a function too.

`suites.choice.fit` makes a file of constants for a processor and a width of vector register.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from algos.adapters.relaid import copied_bytes
from algos.backend.emitter import target_cpu
from algos.core.family import CONVOLUTION, POOLING
from algos.simd.registers import lanes_of

from . import machine
from .terms import arithmetic, features

#: Folder of the fitted models.
FOLDER = Path(__file__).with_name("fitted")
#: Width in bits of the vector registers that a model was fitted with, widest first.
WIDTHS = (512, 256)
#: Bytes moved at the machine's bandwidth that take as long as copying one byte between layouts.
#: Measured on Zen 3: 1.1 to 1.5 for 64 channels or more of 56² and 112².
TRANSPOSED = 1.5
#: Bytes of input, kernel and output of the smallest convolutions that models are fitted to. For
#: smaller ones, it is the calls that take the time, and predicted differences are wrong.
FEWEST_BYTES = 8192


class Time(NamedTuple):
    """Predicted seconds of a call and of preparing; `factor` spans a 95 % interval of a call."""

    call_s: float
    prepare_s: float
    factor: float


@dataclass(frozen=True)
class Model:
    """Constants of the algorithms of one family.

    Attributes
    ----------
    names : tuple of str
        Names of the A algorithms.
    terms : ndarray, shape (A, 3)
        Coefficients c₀, c₁ and c₂ of one thread. Their units are seconds, seconds per multiply-add
        and seconds per byte.
    centre, weights : ndarray, shape (d,)
        Shift and scale of the d features. A feature minus `centre` is multiplied by `weights`.
    points : ndarray, shape (n, d)
        Features of the n timed problems. They are shifted and scaled.
    linear : ndarray, shape (1 + d, 2·A)
        Constants and coefficients of the linear functions. The first A columns predict a call, the
        others the preparation.
    alphas : ndarray, shape (n, 2·A)
        Heights of the Gaussians around `points`. The columns are those of `linear`.
    spread : ndarray, shape (A,)
        Spread of the predictions. It is the standard deviation of log(measured time / predicted
        time) in cross-validation.
    peak, bandwidth : float
        Rates of one thread on the machine that was timed. Their units are multiply-adds per second
        and bytes per second.
    """

    names: tuple[str, ...]
    terms: np.ndarray
    centre: np.ndarray
    weights: np.ndarray
    points: np.ndarray
    linear: np.ndarray
    alphas: np.ndarray
    spread: np.ndarray
    peak: float
    bandwidth: float

    def predict(self, problem: Any, threads: int, calibrated: bool = True) -> dict[str, Time]:
        """Return the predicted times of `problem` on `threads` threads, by algorithm.

        They are scaled to the rates of this machine, if these are known and `calibrated` is True.
        """
        known = features(problem, threads)[: self.centre.size]  # new features come last
        at = (known - self.centre) * self.weights
        distances = self.points - at
        near = np.exp(-0.5 * np.einsum("ij,ij->i", distances, distances))
        logs = self.linear[0] + at @ self.linear[1:] + near @ self.alphas
        calls, prepares = np.exp(logs).reshape(2, len(self.names)).tolist()
        base = self.base(problem, threads, calibrated).tolist()
        factors = np.exp(1.96 * self.spread).tolist()
        return {
            name: Time(base[i] * calls[i], prepares[i], factors[i])
            for i, name in enumerate(self.names)
        }

    def base(self, problem: Any, threads: int, calibrated: bool) -> np.ndarray:
        """Return c₀ + c₁·arithmetic / threads + c₂·bytes of each algorithm, shape (A,)."""
        peak, bandwidth = (calibrated and machine.rates()) or (self.peak, self.bandwidth)
        work = np.array([arithmetic(name, problem) for name in self.names])
        scaled = self.terms[:, 1] * (self.peak / peak) * work / threads
        moved = self.terms[:, 2] * (self.bandwidth / bandwidth) * problem.compulsory_bytes
        return np.asarray(self.terms[:, 0] + scaled + moved)


def path(cpu: str, width: int) -> Path:
    """Return the file of the models fitted on `cpu` with vector registers of `width` bits."""
    return FOLDER / f"{cpu}_{width}.npz"


@cache
def models() -> Mapping[str, Model]:
    """Return the models for the registers of this processor, by family; none if none fit.

    Of several processors that models were fitted on, it is this one, or the one whose balance of
    peak and bandwidth is nearest.
    """
    bits = 32 * lanes_of(4)
    width = next((width for width in WIDTHS if width <= bits), WIDTHS[-1])
    own = path(target_cpu(), width)
    files = [own] if own.exists() else sorted(FOLDER.glob(f"*_{width}.npz"))
    if not files:
        return {}
    return min(map(_read, files), key=lambda models: _unlike(models[CONVOLUTION.name]))


def _read(file: Path) -> Mapping[str, Model]:
    with np.load(file) as stored:
        return {family.name: _unpacked(stored, family.name) for family in (CONVOLUTION, POOLING)}


def _unlike(model: Model) -> float:
    """Return the distance of the balances of this machine and the model's; 0 if unknown."""
    peak, bandwidth = machine.rates() or (model.peak, model.bandwidth)
    return abs(math.log(peak / bandwidth) - math.log(model.peak / model.bandwidth))


def _unpacked(stored: Mapping[str, np.ndarray], family: str) -> Model:
    fields: dict[str, Any] = {key: stored[f"{family}.{key}"] for key in Model.__dataclass_fields__}
    names = tuple(map(str, fields.pop("names")))
    peak, bandwidth = (float(fields.pop(key)) for key in ("peak", "bandwidth"))
    arrays = {key: value.astype(np.float64) for key, value in fields.items()}
    return Model(names=names, peak=peak, bandwidth=bandwidth, **arrays)


def packed(family: str, model: Model) -> dict[str, np.ndarray]:
    """Return the arrays that `models` reads, by name."""
    found = {key: np.asarray(getattr(model, key)) for key in Model.__dataclass_fields__}
    small = ("points", "alphas", "linear")
    return {
        f"{family}.{key}": value.astype(np.float32) if key in small else value
        for key, value in found.items()
    }


def copying(problem: Any, calibrated: bool = True) -> float:
    """Return the seconds of copying the arrays of `problem` between layouts; 0 without a model."""
    model = models().get(problem.family.name)
    if model is None:
        return 0.0
    _, bandwidth = (calibrated and machine.rates()) or (model.peak, model.bandwidth)
    return TRANSPOSED * copied_bytes(problem) / bandwidth


def predict(problem: Any, threads: int, calibrated: bool = True) -> dict[str, Time]:
    """Return predicted times by algorithm; empty if no model covers the family of `problem`."""
    model = models().get(problem.family.name)
    return model.predict(problem, threads, calibrated) if model else {}
