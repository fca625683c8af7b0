"""Files that a run leaves beside its records."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from algos.core.problem import Problem
from suites.cases import pictures
from suites.cases.suite import Case
from suites.timing.events import FilteredImage
from suites.timing.progress import _pictures


def test_pictures_of_one_filter_have_files_of_their_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sheets: list[dict[str, np.ndarray]] = []
    monkeypatch.setattr(pictures, "contact_sheet", lambda sheet, path: sheets.append(sheet))
    layers: list[dict[str, str]] = [{}, {"boundary": "reflect"}, {"dtype": "float64"}]
    filtered = []
    for at, layer in enumerate(layers):
        problem = Problem(size=(8, 8), kernel=3, padding="same", **layer)
        np.save(tmp_path / f"{at}.npy", np.full((1, 1, 8, 8), at / 2))
        case = Case(problem, "gaussian:3", "mri")
        filtered.append(FilteredImage(case, tmp_path / f"{at}.npy"))
    sheet, *files = _pictures(filtered, tmp_path)
    assert sheet == tmp_path / "pictures" / "sheet.png"
    assert [file.stem for file in files] == [
        "mri-gaussian-3", "mri-gaussian-3-2", "mri-gaussian-3-3",
    ]  # fmt: skip
    assert [pictures.read(str(file))[0, 0, 0] for file in files] == [0, 128 / 255, 1]
    assert [*sheets[0]] == ["mri", "mri:gaussian:3", "mri:gaussian:3-2", "mri:gaussian:3-3"]
