"""Exceptions of an algorithm are told by their innermost cause and the user's own line."""

import importlib.util
import re

import numba
import numpy as np
import pytest

from algos.core.causes import LONGEST, said, whole

SOURCE = """
import numba, numpy as np
@numba.njit
def inner(x):
    return x.nosuch
@numba.njit
def outer(x):
    return inner(x)
@numba.njit
def joined(x):
    return np.concatenate((x, 3))
@numba.njit
def misspelt(x):
    return undefined_name(x)
@numba.njit
def summed(x):
    return x + "a"
def reshaped(x):
    return np.reshape(x, (2, 2))
def missing(x):
    return {}["gone"]
"""


@pytest.fixture(scope="module")
def algorithms(tmp_path_factory):
    file = tmp_path_factory.mktemp("mine") / "mine.py"
    file.write_text(SOURCE)
    spec = importlib.util.spec_from_file_location("mine", file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def raised(function):
    with pytest.raises(Exception) as caught:
        function(np.ones(3))
    return caught.value


@pytest.mark.parametrize(
    ("name", "cause", "line"),
    [
        ("outer", "TypingError: Unknown attribute 'nosuch' of type array(float64, 1d, C)", 5),
        ("joined", "TypingError: np.concatenate(): expecting a non-empty tuple of arrays", 11),
        ("misspelt", "NameError: name 'undefined_name' is not defined", 14),
        ("summed", "TypingError: No implementation of function Function(<built-in", 17),
        ("reshaped", "ValueError: cannot reshape array of size 3 into shape (2,2)", 19),
        ("missing", "KeyError: 'gone'", 21),
    ],
)  # fmt: skip
def test_the_innermost_cause_comes_first_and_then_the_users_line(algorithms, name, cause, line):
    sentence = said(raised(getattr(algorithms, name)))
    assert sentence.startswith(cause)
    assert sentence.endswith(f"({algorithms.__file__}:{line})")
    assert "\n" not in sentence
    assert "pipeline" not in sentence


def test_the_whole_begins_at_the_users_file_and_leaves_nothing_of_numba_out(algorithms):
    error = raised(algorithms.outer)
    text = whole(error)
    assert re.sub(r"\x1b\[[0-9;]*m", "", str(error)).strip() in text
    assert f'File "{algorithms.__file__}", line 8' in text or "mine.py (8)" in text
    assert "\x1b" not in text
    assert "Traceback" not in text


def test_a_long_message_is_cut_between_words():
    text = said(ValueError("word " * LONGEST))
    assert text.endswith("word …")
    assert len(text) < LONGEST + 50


def test_a_syntax_error_names_its_own_file():
    with pytest.raises(SyntaxError) as caught:
        compile("x = (", "/somewhere/mine.py", "exec")
    assert said(caught.value).endswith("(/somewhere/mine.py:1)")


def test_an_error_of_numba_without_a_place_is_a_sentence():
    assert said(numba.core.errors.TypingError("no")) == "TypingError: no"
