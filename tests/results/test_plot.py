"""Figures of a run as matplotlib figures."""

import pytest
from matplotlib.figure import Figure
from synthetic import LAYERS, LIMITS, grid, measured, write_run

import results
from algos.core.errors import ConvbenchError
from algos.core.problem import Problem


@pytest.fixture(scope="module")
def frame(tmp_path_factory):
    cells = grid((64, 256, 1024), (3, 15)) + measured(LAYERS[0])
    return results.read(write_run(tmp_path_factory.mktemp("run"), cells, limits=LIMITS))


def texts(figure):
    return " ".join(
        text.get_text() for text in figure.findobj(match=lambda one: hasattr(one, "get_text"))
    )


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("winner_map", "Which algorithm is the fastest?"),
        ("scaling", "How does the time grow"),
        ("speedup", "How many times as fast as naive"),
        ("times", "How long does each problem take?"),
        ("roofline", "How far from the machine's limit?"),
        ("profile", "How often is each one nearly the fastest?"),
    ],
)
def test_each_figure_answers_its_question(name, said, frame):
    figure = getattr(results.plot, name)(frame)
    assert isinstance(figure, Figure)
    assert said in texts(figure)


def test_all_names_are_tested():
    assert set(results.plot.__all__) == {
        "profile", "roofline", "scaling", "speedup", "times", "winner_map",
    }  # fmt: skip


def test_rows_of_a_table_are_enough(frame):
    part = frame[frame["kernel_size"] == "3x3"]
    assert "kernel 3²" in texts(results.plot.scaling(part[~part["name"].astype(bool)]))


def test_parts_are_counted(frame):
    figure = results.plot.roofline(frame, part=2)
    assert "part 2 of 2" in texts(figure)
    with pytest.raises(ConvbenchError, match="part 3 was asked for, expected 1 to 2"):
        results.plot.roofline(frame, part=3)


def test_a_notebook_shows_a_figure_without_pyplot(frame):
    png, about = results.plot.profile(frame)._repr_png_()
    assert png.startswith(b"\x89PNG")
    assert about == {"width": 800}


def test_the_profile_counts_problems_and_wins(tmp_path):
    problems = [Problem(size=(s, s), kernel=3, padding="same") for s in (64, 128)]
    cells = [one for p in problems for one in measured(p, algorithms=["naive", "parallel"])]
    figure = results.plot.profile(results.read(write_run(tmp_path, cells)))
    (axes,) = figure.axes
    lines = {line.get_label(): line for line in axes.get_lines()}
    assert lines["parallel"].get_ydata()[0] == 1.0
    assert lines["naive"].get_ydata()[0] == 0.0
    assert lines["naive"].get_ydata()[-1] == 1.0


@pytest.mark.parametrize("name", ["winner_map", "scaling", "speedup", "roofline"])
def test_what_cannot_be_drawn_is_a_sentence(name, tmp_path):
    cells = measured(Problem(size=(8, 8), kernel=3))
    frame = results.read(write_run(tmp_path, cells, limits=None))
    with pytest.raises(ConvbenchError, match="cannot be drawn of this table; it takes"):
        getattr(results.plot, name)(frame)


def test_other_tables_are_refused(frame):
    with pytest.raises(ConvbenchError, match="has no column 'samples'"):
        results.plot.times(results.best(frame).assign(winner=True))
    with pytest.raises(ConvbenchError, match="nothing of this table was timed"):
        results.plot.times(frame.iloc[:0])
