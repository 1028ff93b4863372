"""Samples of some processes as a picture: a panel for each quantity, a line for each process."""

import matplotlib as mpl

mpl.use("Agg")
from matplotlib import pyplot as plt

_WIDTH, _HEIGHT = 11, 2.4


def draw(path, seconds, series, events=()):
    """Write a PNG.

    Args:
        path: of the file.
        seconds: when samples were taken.
        series: {quantity: {process: its samples}}; as many as moments, NaN where it was not there.
        events: (second, what happened); a thin line each.
    """
    figure, panels = plt.subplots(len(series), 1, figsize=(_WIDTH, _HEIGHT * len(series)), sharex=True)
    minutes = [one / 60 for one in seconds]
    for panel, (quantity, lines) in zip(panels, series.items(), strict=True):
        for process, values in lines.items():
            panel.plot(minutes, values, label=process, linewidth=1)
        for when, _ in events:
            panel.axvline(when / 60, color="0.85", linewidth=0.7, zorder=0)
        panel.axvline(minutes[-1] / 4, color="0.4", linestyle=":", linewidth=1)
        panel.set_ylabel(quantity)
        panel.set_ylim(bottom=0)
    panels[0].legend(fontsize=7, ncols=len(next(iter(series.values()))), loc="lower right")
    panels[-1].set_xlabel("minutes; dotted: the end of the warm-up; grey: something was done to a replica")
    figure.tight_layout()
    figure.savefig(path, dpi=90)
    plt.close(figure)
