"""Ratios on unlike hosts stand side by side."""

import matplotlib.pyplot as plt
from synthetic import ENVIRONMENT, LAYERS, measured, write_run

import results
from results.figures.hosts import draw_ratios, ratio_sheet
from results.figures.style import rc_context


def test_each_kind_of_host_has_a_panel(tmp_path):
    runs = [
        write_run(tmp_path, measured(LAYERS[2], blocks=5), environment={**ENVIRONMENT, "cpu": cpu})
        for cpu in ("AMD EPYC", "Intel Xeon")
    ]
    with rc_context():
        sheet = ratio_sheet([results.read(run) for run in runs])
        titles = [axes.get_title(loc="left") for axes in sheet.axes]
        assert "AMD EPYC" in titles[0] and "Intel Xeon" in titles[1]
        plt.close(sheet.figure)
    saved = draw_ratios(runs)
    assert all(file.stat().st_size > 1000 for file in saved.files)
    assert saved.files[0].parent == runs[0] / "figures"
