"""Real images for claims: digits and photographs that come with other packages."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np

from algos.core.errors import ConvbenchError
from suites.cases import pictures


class Split(NamedTuple):
    """Digits for training and for testing: images (N, 1, 8, 8) from 0 to 1, labels (N,)."""

    x: np.ndarray
    y: np.ndarray
    test_x: np.ndarray
    test_y: np.ndarray


@cache
def digits() -> Split:
    """Return the handwritten digits of scikit-learn, shuffled; 1200 are for training.

    Raises
    ------
    ConvbenchError
        If scikit-learn is not installed.
    """
    datasets = _scikit_learn()
    found = datasets.load_digits()
    order = np.random.default_rng(0).permutation(len(found.target))
    x = (found.images[order, None] / 16).astype("float32")
    y = found.target[order].astype(np.int64)
    return Split(x[:1200], y[:1200], x[1200:], y[1200:])


def photograph(height: int, width: int) -> np.ndarray:
    """Return the middle of matplotlib's photograph in grey, (height, width), float32."""
    return _middle(pictures.read("photograph"), height, width).mean(0).astype("float32")


@cache
def sample_photographs() -> tuple[np.ndarray, ...]:
    """Return scikit-learn's two photographs, (3, 427, 640) from 0 to 1, float32."""
    images = _scikit_learn().load_sample_images().images
    return tuple(np.moveaxis(i / np.float32(255), -1, 0).astype("float32") for i in images)


def patches(count: int, size: int) -> np.ndarray:
    """Return `count` grey squares of scikit-learn's photographs, (count, 1, size, size)."""
    rng = np.random.default_rng(0)
    grey = [image.mean(0) for image in sample_photographs()]
    found = []
    for n in range(count):
        image = grey[n % len(grey)]
        top, left = (int(rng.integers(0, length - size + 1)) for length in image.shape)
        found.append(image[top : top + size, left : left + size])
    return np.array(found, "float32")[:, None]


def _middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    top, left = (image.shape[1] - height) // 2, (image.shape[2] - width) // 2
    return image[:, top : top + height, left : left + width]


def _scikit_learn() -> Any:
    """Return `sklearn.datasets`, or raise with the way to install it."""
    try:
        from sklearn import datasets
    except ImportError:
        raise ConvbenchError(
            'its images come with scikit-learn, which is not installed: pip install -e ".[claims]"'
        ) from None
    return datasets


def normal(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return normally distributed numbers as float32."""
    return rng.standard_normal(shape).astype("float32")


def whole(rng: np.random.Generator, *shape: int) -> np.ndarray:
    """Return whole numbers from -8 to 8 as float32; sums of products stay exact."""
    return rng.integers(-8, 9, shape).astype("float32")
