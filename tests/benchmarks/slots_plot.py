"""The picture of `tests.benchmarks.released_slots`: what a worker's slots were used for over time."""

# pyright: reportUnknownMemberType=false
# The arguments of matplotlib's methods have no types.
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

PLOT = Path(__file__).with_name("released_slots.png")
SMOOTHED = 30.0
"""Seconds over which the number of slots is averaged."""
COLOURS = {"release": "#0b6e99", "hold": "#c4561e"}


@dataclass(frozen=True)
class Sample:
    """One second: slots in use, those held by an export that waits, remote runs at work, exports that are published."""

    seconds: float
    slots: int
    held: int
    working: int
    published: int


def draw(sides: Mapping[str, Sequence[Sample]], limit: int) -> None:
    """Write the picture."""
    figure = Figure(figsize=(11, 7.5), layout="constrained")
    canvas = FigureCanvasAgg(figure)
    figure.suptitle(f"Exports that wait for the platform, on one worker with {limit} slots")
    for number, (title, label, member) in enumerate(PANELS, 1):
        axes = figure.add_subplot(2, 2, number)
        is_slots = member in {"slots", "held"}
        for name, samples in sides.items():
            values = [float(getattr(one, member)) for one in samples]
            shown = smoothed(samples, values) if is_slots else values
            minutes = [one.seconds / 60 for one in samples]
            axes.plot(minutes, shown, color=COLOURS[name], label=f"while_waiting={name}")
        _label(axes, title, label, limit if is_slots else None)
    canvas.print_png(str(PLOT))


PANELS = (
    ("Slots in use (mean of 30 s)", "slots", "slots"),
    ("Slots whose export only waits for the platform (mean of 30 s)", "slots", "held"),
    ("Exports that the platform works on at once", "exports", "working"),
    ("Exports that are published", "exports", "published"),
)


def smoothed(samples: Sequence[Sample], values: Sequence[float]) -> list[float]:
    """Each value as the mean of those of the last seconds."""
    means: list[float] = []
    first = 0
    for last, sample in enumerate(samples):
        while samples[first].seconds < sample.seconds - SMOOTHED:
            first += 1
        means.append(sum(values[first : last + 1]) / (last + 1 - first))
    return means


def _label(axes: Axes, title: str, label: str, limit: int | None) -> None:
    axes.set_title(title, fontsize=10)
    axes.set_xlabel("minutes since the exports were asked for")
    axes.set_ylabel(label)
    axes.set_ylim(0, None if limit is None else limit * 1.15)
    if limit is None:
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
    axes.grid(visible=True, alpha=0.3)
    axes.legend(fontsize=8)
