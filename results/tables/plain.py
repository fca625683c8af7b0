"""A run as JSON for other programs: its verdicts as sentences, and its table."""

from __future__ import annotations

import json

import pandas as pd

from .summary import verdicts


def run_as_json(frame: pd.DataFrame) -> str:
    """Return the run in `frame` as one JSON object.

    ``id``, ``suite``, ``path`` and ``status`` are texts and ``verdicts`` is a list of sentences.
    ``cells`` has one object per row, by the names of the columns, without the samples. A value
    that was not measured is null.
    """
    cells = frame.drop(columns="samples").to_json(orient="records", double_precision=15)
    about = {name: frame.attrs.get(name) for name in ("id", "suite", "path", "status")}
    return json.dumps(
        {**about, "verdicts": verdicts(frame), "cells": json.loads(cells)}, ensure_ascii=False
    )
