"""The shipped model of times: present for each register width, and within reason."""

import numpy as np
import pytest

import algos
from algos import registry
from algos.choice import forget_choices, model
from algos.choice.terms import features
from algos.pooling import PoolProblem

FILES = sorted(model.FOLDER.glob("*.npz"))
LAYER = algos.Problem(size=(56, 56), kernel=3, in_channels=64, out_channels=64, padding=1)


def test_a_model_ships_for_each_register_width():
    widths = {int(file.stem.rpartition("_")[2]) for file in FILES}
    assert widths == set(model.WIDTHS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_every_model_is_complete(file):
    with np.load(file) as stored:
        for family, reference in (
            ("convolution", LAYER),
            ("pooling", PoolProblem(size=(9, 9), window=3)),
        ):
            names = stored[f"{family}.names"]
            assert "parallel" in names
            # Features that were added since then come last.
            assert 16 <= stored[f"{family}.points"].shape[1] <= features(reference, 1).size
            known = {**registry.convolutions(), **registry.poolings()}
            assert set(map(str, names)) <= set(known)


def test_predictions_grow_with_the_problem():
    large = algos.Problem(size=(224, 224), kernel=3, in_channels=64, out_channels=64, padding=1)
    for name, time in model.predict(LAYER, 1).items():
        assert 0 < time.call_s < 1
        assert time.prepare_s > 0
        assert time.factor > 1
        if name == "parallel":
            assert 4 < model.predict(large, 1)[name].call_s / time.call_s < 64


def test_choices_that_nobody_doubts():
    forget_choices()
    image = algos.Problem(size=(1024, 1024), kernel=63, padding=31)
    assert algos.choose(image, threads=1) in ("fft-fused", "fft")
    assert algos.choose(image, threads=1, accuracy="direct") == "parallel"
    tiny = algos.Problem(size=(16, 16), kernel=3, padding=1)
    assert algos.choose(tiny, threads=1) not in ("fft", "fft-fused")
    # Windows made of halves read few samples each, so van Herk's two passes are far slower.
    sliding = PoolProblem(size=(1024, 1024), window=31, stride=1, padding=15)
    assert algos.choose(sliding, threads=1) == "parallel"
