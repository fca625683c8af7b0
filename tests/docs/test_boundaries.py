"""The table of docs/boundaries.md: every name in it, called."""

import re
from pathlib import Path

import numpy as np
import pytest

from algos.core.boundary import BOUNDARIES, OUTSIDE, sources

PAGE = (Path(__file__).parents[2] / "docs" / "boundaries.md").read_text(encoding="utf-8")

#: Samples of the table, and how many stand on either side of them.
SIZE, REACH, CVAL = 4, 3, 9.0


def rows():
    """Yield each row of the table: our name, values, and the four libraries' names."""
    for row in re.findall(r"^\| `.*\|$", PAGE, re.MULTILINE):
        cells = [cell.strip() for cell in re.split(r"(?<!\\)\|", row)[1:-1]]
        name = cells[0].split("`")[1]
        if name in BOUNDARIES:
            yield name, cells[1].strip("`"), *(cell.strip("`") for cell in cells[2:])


TABLE = {name: names for name, *names in rows()}


def extended(name, reach=REACH):
    """Samples 1 … 4 with `reach` more on either side, by our own definition."""
    line = np.arange(1.0, SIZE + 1)
    index = sources(name, SIZE, -reach, SIZE + reach)
    return np.where(index == OUTSIDE, CVAL if name == "constant" else 0.0, line[index])


def test_the_table_has_a_row_for_every_boundary():
    assert tuple(TABLE) == BOUNDARIES


@pytest.mark.parametrize("name", BOUNDARIES)
def test_the_letters_are_the_values(name):
    letters = TABLE[name][0].replace("\\|", "").split()
    values = {**dict(zip("abcd", range(1, 5), strict=True)), "0": 0, "k": CVAL}
    assert [values[letter] for letter in letters] == extended(name).tolist()


@pytest.mark.parametrize("name", BOUNDARIES)
def test_scipy_and_numpy_call_it_so(name):
    from scipy import ndimage

    _, scipys, numpys, *_ = TABLE[name]
    cval = CVAL if name == "constant" else 0.0
    line = np.arange(1.0, SIZE + 1)
    for offset in range(-REACH, REACH + 1):
        impulse = np.zeros(2 * REACH + 1)
        impulse[REACH + offset] = 1
        moved = ndimage.correlate(line, impulse, mode=scipys, cval=cval)
        assert moved.tolist() == extended(name)[REACH + offset :][:SIZE].tolist()
    more = {"constant_values": cval} if numpys == "constant" else {}
    assert np.pad(line, REACH, numpys, **more).tolist() == extended(name).tolist()


@pytest.mark.peers
@pytest.mark.parametrize("name", BOUNDARIES)
def test_opencv_and_pytorch_call_it_so(name):
    cv2, torch = pytest.importorskip("cv2"), pytest.importorskip("torch")

    *_, opencvs, torchs = TABLE[name]
    cval = CVAL if name == "constant" else 0.0
    line = np.arange(1.0, SIZE + 1)
    made = cv2.copyMakeBorder(line[None], 0, 0, REACH, REACH, getattr(cv2, opencvs), value=cval)
    assert made[0].tolist() == extended(name).tolist()
    if torchs == "–":
        return
    more = (cval,) if torchs == "constant" else ()
    padded = torch.nn.functional.pad(
        torch.from_numpy(line)[None, None], (REACH, REACH), torchs, *more
    )
    assert padded[0, 0].tolist() == extended(name).tolist()
