"""A run as JSON for other programs: its verdicts as sentences, and its table."""

from __future__ import annotations

import json

import pandas as pd

from results.records.records import plain

from .summary import verdicts


def run_as_json(frame: pd.DataFrame) -> str:
    """Return the run in `frame` as one JSON object.

    ``id``, ``suite``, ``path`` and ``status`` are texts and ``verdicts`` is a list of sentences.
    ``cells`` has one object per row, by the names of the columns, without the samples. A value
    that was not measured is null, and infinity is the text "inf".
    """
    content = {
        **{name: frame.attrs.get(name) for name in ("id", "suite", "path", "status")},
        "verdicts": verdicts(frame),
        "cells": frame.drop(columns="samples").to_dict("records"),
    }
    return json.dumps(plain(content), ensure_ascii=False, allow_nan=False)
