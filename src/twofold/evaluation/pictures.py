"""Pictures as inline SVG: values with intervals, trade-offs, slices. No script, no request."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

COLOURS = 8
"""Colours of the style sheet, taken in turn."""
WIDTH, ROW, LEFT, RIGHT, FOOT = 420, 24, 118, 62, 26
"""Sizes in units of the drawing, which is scaled to the page: width, line, margins, axis."""
CHARACTER = 6.8
"""Width of a letter in these units."""

Point = tuple[float, float, float]
"""A value with the ends of its interval."""


class Scale(NamedTuple):
    """A linear map of low ... high onto start ... stop."""

    low: float
    high: float
    start: float
    stop: float

    def __call__(self, value: float) -> float:
        """Return the place of a value; the middle where the range is empty."""
        if self.high <= self.low:
            return (self.start + self.stop) / 2
        return self.start + (value - self.low) / (self.high - self.low) * (self.stop - self.start)

    @classmethod
    def around(cls, values: Sequence[float], start: float, stop: float) -> Scale:
        """Return a scale on which all finite values lie, with a little room."""
        finite = [one for one in values if math.isfinite(one)] or [0.0]
        low, high = min(finite), max(finite)
        room = 0.06 * (high - low) or 0.05 * (abs(high) or 1.0)
        return cls(low - room, high + room, start, stop)

    def ticks(self, wanted: int = 6) -> list[float]:
        """Return round numbers inside the range, about `wanted` of them."""
        span = self.high - self.low
        raw = span / wanted
        step = 10.0 ** math.floor(math.log10(raw))
        step *= next(one for one in (1, 2, 5, 10) if one * step >= raw)
        first = math.ceil(self.low / step)
        return [at * step for at in range(first, math.floor(self.high / step) + 1)]


def text(x: float, y: float, said: str, *, anchor: str = "start", kind: str = "") -> str:
    """Return a line of text."""
    style = f' class="{kind}"' if kind else ""
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"{style}>{escape(said)}</text>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """Return a line; `kind` is its class in the style sheet."""
    return f'<line class="{kind}" x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}"/>'


def dot(x: float, y: float, colour: int, said: str, *, radius: float = 4.5) -> str:
    """Return a point that tells what it is where the pointer rests on it."""
    return (
        f'<circle class="dot c{colour % COLOURS}" cx="{x:.1f}" cy="{y:.1f}" r="{radius}">'
        f"<title>{escape(said)}</title></circle>"
    )


def short(name: str, width: float) -> str:
    """Return a name cut to a width."""
    most = max(3, int(width / CHARACTER))
    return name if len(name) <= most else name[: most - 1] + "…"


def number(value: float) -> str:
    """Return a number with four digits behind the point, or as many as it needs."""
    return f"{value:.4f}" if abs(value) < 100 else f"{value:,.1f}"


def spoken(name: str, point: Point) -> str:
    """Return what a point says: its name, value and interval."""
    value, low, high = point
    span = f" [{number(low)}, {number(high)}]" if math.isfinite(low) else ""
    return f"{name} {number(value)}{span}"


def figure(title: str, told: str, height: float, inside: str) -> str:
    """Return an SVG with its caption; `told` is what it says to those who do not see it."""
    return (
        f'<figure><figcaption>{escape(title)}</figcaption><svg role="img" '
        f'aria-label="{escape(f"{title}: {told}")}" viewBox="0 0 {WIDTH:g} {height:g}">{inside}</svg></figure>'
    )


def across(scale: Scale, top: float, bottom: float) -> str:
    """Return the grid and the labels of a horizontal axis."""
    return "".join(
        line("grid", scale(tick), top, scale(tick), bottom)
        + text(scale(tick), bottom + 15, f"{tick:.4g}", anchor="middle", kind="dim")
        for tick in scale.ticks()
    )


def intervals(title: str, points: Mapping[str, Point], colours: Mapping[str, int]) -> str:
    """Return values with their intervals, a line a model; the first one's interval goes through all."""
    scale = Scale.around([one for point in points.values() for one in point], LEFT, WIDTH - RIGHT)
    bottom = ROW * len(points) + 8.0
    parts = [across(scale, 4, bottom)]
    first = next(iter(points.values()))
    if math.isfinite(first[1]):
        x = scale(first[1])
        parts.append(
            f'<rect class="band" x="{x:.1f}" y="4" width="{scale(first[2]) - x:.1f}" height="{bottom - 4:.1f}"/>'
        )
    for at, (name, point) in enumerate(points.items()):
        y = ROW * (at + 0.5) + 6
        parts.append(text(LEFT - 10, y + 4, short(name, LEFT - 12), anchor="end"))
        if math.isfinite(point[1]):
            parts.append(
                line(f"whisker c{colours[name] % COLOURS}", scale(point[1]), y, scale(point[2]), y)
            )
        parts.append(dot(scale(point[0]), y, colours[name], spoken(name, point)))
        parts.append(text(WIDTH - 4, y + 4, number(point[0]), anchor="end", kind="figure"))
    told = "; ".join(spoken(name, point) for name, point in points.items())
    return figure(title, told, bottom + FOOT, "".join(parts))


def scatter(
    title: str,
    points: Mapping[str, tuple[float, Point]],
    labels: tuple[str, str],
    colours: Mapping[str, int],
    *,
    log: bool = False,
    less_is_more: bool = False,
) -> str:
    """Return one number against another, a point a model, those that none surpasses in both joined.

    `points` holds x and the value with its interval; `labels` name x and y. With `log`, x is drawn
    by its logarithm and less of it is better; with `less_is_more`, less of y is better.
    """
    height, left = 280.0, 52.0
    bottom = height - 44
    place = {name: (math.log10(max(x, 1e-3)) if log else x, y) for name, (x, y) in points.items()}
    right = WIDTH - 14
    horizontal = Scale.around([x for x, _ in place.values()], left + 8, right)
    vertical = Scale.around([one for _, y in place.values() for one in y], bottom - 6, 14)
    parts = [
        line("grid", left, vertical(tick), right, vertical(tick))
        + text(left - 6, vertical(tick) + 4, f"{tick:.4g}", anchor="end", kind="dim")
        for tick in vertical.ticks(5)
    ]
    for tick, said in decades(horizontal) if log else plain(horizontal):
        parts.append(line("grid", horizontal(tick), 8, horizontal(tick), bottom))
        parts.append(text(horizontal(tick), bottom + 15, said, anchor="middle", kind="dim"))
    parts.append(text((left + right) / 2, height - 8, labels[0], anchor="middle"))
    parts.append(text(left - 40, 10, labels[1], kind="axis-name"))
    front = unsurpassed(
        {
            name: (-x if log else x, -y[0] if less_is_more else y[0])
            for name, (x, y) in place.items()
        }
    )
    path = " ".join(
        f"{horizontal(place[one][0]):.1f},{vertical(place[one][1][0]):.1f}" for one in front
    )
    parts.append(f'<polyline class="front" points="{path}"/>')
    spots = {name: (horizontal(x), vertical(y[0])) for name, (x, y) in place.items()}
    for name, (x, y) in place.items():
        if math.isfinite(y[1]):
            at = horizontal(x)
            parts.append(
                line(f"whisker c{colours[name] % COLOURS}", at, vertical(y[1]), at, vertical(y[2]))
            )
    for name, (x, y) in spots.items():
        said = (
            f"{spoken(f'{name}: {labels[1]}', points[name][1])}, {labels[0]} {points[name][0]:.3g}"
        )
        parts.append(dot(x, y, colours[name], said, radius=5.5))
    for name, (x, y, anchor) in placed(spots, right).items():
        parts.append(text(x, y, name, anchor=anchor, kind="label"))
    told = "; ".join(f"{spoken(name, y)} at {x:.3g} {labels[0]}" for name, (x, y) in points.items())
    return figure(title, told, height, "".join(parts))


def decades(scale: Scale) -> list[tuple[float, str]]:
    """Return the powers of ten on a logarithmic scale, or its ends where there are fewer than two."""
    whole = [float(at) for at in range(math.ceil(scale.low), math.floor(scale.high) + 1)]
    if len(whole) < 2:
        whole = [scale.low + 0.1 * (scale.high - scale.low), scale.high - 0.1 * (scale.high - scale.low)]  # fmt: skip
    return [(at, f"{10**at:.3g}") for at in whole]


def plain(scale: Scale) -> list[tuple[float, str]]:
    """Return round numbers on a scale with how they are written."""
    return [(tick, f"{tick:.4g}") for tick in scale.ticks()]


def unsurpassed(points: Mapping[str, tuple[float, float]]) -> list[str]:
    """Return the names of the points that no other surpasses in both, the largest x first.

    Example
    -------
    >>> unsurpassed({"a": (1.0, 5.0), "b": (2.0, 4.0), "c": (1.0, 3.0)})
    ['b', 'a']
    """
    kept: list[str] = []
    best = -math.inf
    for name in sorted(points, key=lambda one: (-points[one][0], -points[one][1])):
        if points[name][1] > best:
            kept.append(name)
            best = points[name][1]
    return kept


def placed(
    spots: Mapping[str, tuple[float, float]], right: float
) -> dict[str, tuple[float, float, str]]:
    """Return where the names of points stand so that they do not cover each other: x, y, anchor."""
    taken = [(x - 6, y - 6, x + 6, y + 6) for x, y in spots.values()]
    found: dict[str, tuple[float, float, str]] = {}
    for name, (x, y) in sorted(spots.items(), key=lambda one: one[1][1]):
        width = CHARACTER * len(name)
        choices: list[tuple[float, float, str]] = []
        for away in (4, -9, 17, -22, 30, -35, 43):
            choices += [(x + 9, y + away, "start"), (x - 9, y + away, "end")]
        boxes = [
            (
                a if anchor == "start" else a - width,
                b - 10,
                a + (width if anchor == "start" else 0),
                b + 3,
            )
            for a, b, anchor in choices
        ]
        free = [
            at
            for at, box in enumerate(boxes)
            if box[2] < right + 10
            and box[0] > 52
            and box[1] > 0
            and not any(
                box[0] < b[2] and b[0] < box[2] and box[1] < b[3] and b[1] < box[3] for b in taken
            )
        ]
        at = free[0] if free else 0
        found[name] = choices[at]
        taken.append(boxes[at])
    return found


def slices(title: str, rows: Mapping[str, Mapping[str, float]], colours: Mapping[str, int]) -> str:
    """Return a metric of every model in every slice: a line a slice, a point a model."""
    left = 205.0
    values = [one for row in rows.values() for one in row.values()]
    scale = Scale.around(values, left, WIDTH - 12)
    bottom = ROW * len(rows) + 8.0
    parts = [across(scale, 4, bottom)]
    for at, (label, row) in enumerate(rows.items()):
        y = ROW * (at + 0.5) + 6
        parts.append(text(left - 10, y + 4, short(label, left - 12), anchor="end"))
        parts.append(line("grid", left, y, WIDTH - 12, y))
        parts.extend(
            dot(scale(value), y, colours[name], f"{label}: {name} {number(value)}")
            for name, value in row.items()
        )
    told = "; ".join(
        f"{label}: {', '.join(f'{name} {number(value)}' for name, value in row.items())}"
        for label, row in rows.items()
    )
    return figure(title, told, bottom + FOOT, "".join(parts))
