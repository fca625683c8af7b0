"""Deep Learning, 9.7: data types."""

from __future__ import annotations

import numpy as np

import algos
from suites.cases import pictures
from suites.claims.claim import Findings, claim, equal
from suites.claims.data import normal, photograph


def _inputs() -> dict[str, np.ndarray]:
    """Return one input for each cell of table 9.1, (C, *size), from real images where there are."""
    photo = np.asarray(pictures.read("photograph")[:, 100:300, 100:300], "float32")
    grey = photo.mean(0)
    t = np.arange(2000) / 8000
    sound = np.sin(2 * np.pi * (400 + 300 * t) * t).astype("float32")
    frames = sound[: 31 * 64].reshape(31, 64)
    spectrogram = np.abs(np.fft.rfft(frames * np.hanning(64), axis=1)).T
    angles = np.stack([np.sin(2 * np.pi * (n + 1) * t[:200] * 8000 / 200) for n in range(6)])
    volume = np.stack([grey[20:52, n : n + 32] for n in range(32)])
    film = np.stack([photo[:, 20:52, n : n + 32] for n in range(16)], 1)
    return {
        "1-D, single channel: audio waveform": sound[None],
        "1-D, multichannel: joint angles of a skeleton": angles,
        "2-D, single channel: spectrogram": spectrogram[None],
        "2-D, multichannel: colour image": photo,
        "3-D, single channel: volumetric image": volume[None],
        "3-D, multichannel: colour video": film,
    }


@claim
def data_types() -> Findings:
    """Convolve one input of every kind in table 9.1 through one interface.

    Source: Goodfellow, Bengio & Courville, Deep Learning (2016), 9.7, table 9.1.
    """
    rng = np.random.default_rng(0)
    for name, x in _inputs().items():
        x = np.ascontiguousarray(x[None], "float32")
        w = normal(rng, 4, x.shape[1], *[3] * (x.ndim - 2))
        one = algos.conv(x, w, padding="same")
        other = algos.conv(x, w, padding="same", algorithm="naive")
        bound = 1e-5 * float(np.abs(other).max())
        agree = one.shape == (1, 4, *x.shape[2:]) and bool((np.abs(one - other) <= bound).all())
        yield equal(f"{name}: convolved, and equal to the definition", "yes",
                    "yes" if agree else "no")  # fmt: skip
        yield f"{name}: {x.shape} → {one.shape}"
    yield "The sound, the angles, the volume and the film are made; images are real."
    sizes = [(20, 33), (64, 64), (111, 17)]
    w = normal(rng, 4, 1, 3, 3)
    outputs = [algos.conv(photograph(*size)[None, None], w, padding="same") for size in sizes]
    yield equal("one kernel takes images of any size", str(sizes),
                str([y.shape[2:] for y in outputs]))  # fmt: skip
