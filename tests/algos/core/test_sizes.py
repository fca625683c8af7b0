"""Output-size arithmetic: counted out by hand, and the sentences where it does not work."""

import pytest

from algos.core import sizes
from algos.core.errors import ConvbenchError


def counted(size, extent, stride, sides, ragged):
    """Positions found by sliding: whole ones, and with `ragged` one more where samples are left."""
    room, start, count = size + sum(sides), 0, 0
    while start + extent <= room:
        count, start = count + 1, start + stride
    left_over = start - stride + extent < room
    return count + (1 if ragged and left_over else 0)


@pytest.mark.parametrize("stride", [1, 2, 3, 5])
@pytest.mark.parametrize("extent", [1, 2, 4])
def test_output_positions(extent, stride):
    for size in range(extent, 14):
        for sides in ((0, 0), (1, 0), (2, 3)):
            for fit in ("floor", "ceil"):
                found = sizes.output_positions(size, extent, stride, sides, fit)
                assert found == counted(size, extent, stride, sides, fit == "ceil")


@pytest.mark.parametrize("size", [1, 5, 8])
@pytest.mark.parametrize("stride", [1, 2, 3])
@pytest.mark.parametrize("extent", [1, 2, 5])
def test_same_padding_gives_the_size_over_the_stride(size, extent, stride):
    before, after = sizes.same_padding(size, extent, stride)
    assert 0 <= after - before <= 1
    if size + before + after >= extent:
        found = sizes.output_positions(size, extent, stride, (before, after), "floor")
        assert found == -(-size // stride)


def test_extent():
    assert sizes.extent(3, 1) == 3
    assert sizes.extent(3, 4) == 9


def test_what_does_not_fit_is_named():
    with pytest.raises(ConvbenchError, match="the window spans 5 samples along w"):
        sizes.check_fit("w", (4,), (5,), (1,), ((0, 0),), "floor", "window")
    with pytest.raises(ConvbenchError, match=r"\(5 − 2 \+ 0\)/2 = 1.5 is not whole"):
        sizes.check_fit("w", (5,), (2,), (2,), ((0, 0),), "exact")


@pytest.mark.parametrize("padding", ["sam", (1, 2, 3), ((1, 2, 3), 0), -1, 0.5])
def test_padding_that_is_none_is_refused(padding):
    with pytest.raises(ConvbenchError, match="padding"):
        sizes.resolve_padding(padding, (5, 5), (3, 3), (1, 1))
