"""Small random problems for hypothesis, with every field drawn."""

from dataclasses import replace

from hypothesis import strategies as st

from algos import Problem
from algos.core.boundary import BOUNDARIES
from algos.core.memory_order import LAYOUTS


@st.composite
def problems(draw, largest=9, most_channels=3, plain=True):
    """Draw a `Problem` with sizes up to `largest` and 1 to 3 axes, tiled or with a table, too."""
    axes = draw(st.integers(1, 3))
    every = range(axes)
    size = [draw(st.integers(1, largest)) for _ in every]
    kernel = [draw(st.integers(1, 4)) for _ in every]
    dilation = [draw(st.integers(1, 3)) for _ in every]
    padding = draw(
        st.sampled_from(["same", "full"]) | st.lists(_sides(4), min_size=axes, max_size=axes)
    )
    if not isinstance(padding, str):
        # Padding is widened where the kernel would not fit: nothing is filtered out.
        extents = [(k - 1) * d + 1 for k, d in zip(kernel, dilation, strict=True)]
        padding = [
            (before, max(after, e - w - before))
            for (before, after), e, w in zip(padding, extents, size, strict=True)
        ]
    groups = draw(st.integers(1, 3))
    problem = Problem(
        size=size,
        kernel=kernel,
        dilation=dilation,
        padding=padding,
        stride=[draw(st.integers(1, 4)) for _ in every],
        batch=draw(st.integers(1, 3)),
        in_channels=groups * draw(st.integers(1, most_channels)),
        out_channels=groups * draw(st.integers(1, most_channels)),
        groups=groups,
        dtype=draw(st.sampled_from(["float32", "float64"])),
        flip=draw(st.booleans()),
        bias=draw(st.booleans()),
        fit=draw(st.sampled_from(["floor", "ceil"])),
        layout=draw(st.sampled_from([*LAYOUTS, "channels_first"])),
        boundary=draw(st.sampled_from(["zeros", "zeros", *BOUNDARIES])),
        name=draw(
            st.sampled_from(["", "net:conv1", "a name with blanks", "kh3_ih5", "ünïcode/5x5"])
        ),
    )
    if axes == 1 and draw(st.booleans()):
        value = draw(st.sampled_from([-1.0, 1.0, 2.0]))
        problem = replace(problem, boundary="constant", cval=value)
    if not plain and draw(st.booleans()):
        problem = replace(problem, tile=draw(st.integers(1, 3)))
    elif not plain and groups == 1:
        row = st.integers(1, 2**problem.in_channels - 1)
        rows = st.lists(row, min_size=problem.out_channels, max_size=problem.out_channels)
        problem = replace(problem, connections=draw(rows))
    if problem.fit == "floor" and replace(problem, fit="ceil").output_size == problem.output_size:
        return replace(problem, fit=draw(st.sampled_from(["floor", "exact"])))
    return problem


def _sides(most):
    return st.tuples(st.integers(0, most), st.integers(0, most))
