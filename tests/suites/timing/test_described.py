"""Descriptions of algorithms: a sentence for all, a source file and a paper where there is one."""

from __future__ import annotations

from pathlib import Path

import algos
from algos.registry import convolutions, get
from suites.timing.described import described


def test_every_algorithm_has_a_sentence_and_a_file() -> None:
    for algorithm in convolutions().values():
        found = described(algorithm)
        assert found["does"].endswith(".")
        assert (Path(algos.__file__).parents[1] / found["source"]).is_file()


def test_papers_are_links() -> None:
    assert described(get("winograd4"))["paper"] == "https://doi.org/10.1109/CVPR.2016.435"
    assert described(get("integral"))["paper"] == "https://doi.org/10.1145/800031.808600"
    assert "paper" not in described(get("im2col"))


def test_a_class_from_elsewhere_has_a_sentence_alone() -> None:
    class Stranger:
        summary = "It is not ours."

    assert described(Stranger()) == {"does": "It is not ours."}
