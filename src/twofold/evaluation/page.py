"""Self-contained HTML pages with inline SVG: no script, no request, light and dark."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#667;--line:#ccd;--mark:#1f6feb;--back:#fff;--soft:#f4f6fa}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ec;--dim:#9aa3b2;--line:#3a4150;--mark:#6cb0ff;--back:#14171c;--soft:#1d2230}}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:72rem;margin:2rem auto;padding:0 1rem}
h1{font-size:1.5rem}h2{font-size:1.15rem;margin-top:2.2rem}
table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.35rem .6rem;border-bottom:1px solid var(--line);vertical-align:top}
th{background:var(--soft)}small,.dim{color:var(--dim)}
small{display:block;white-space:nowrap}figure{display:inline-block;margin:1rem .7rem 0 0;vertical-align:top}figcaption{color:var(--dim);font-size:.9rem}
svg{background:var(--soft);border-radius:6px}text{fill:var(--ink);font:12px system-ui,sans-serif}
.axis{stroke:var(--line)}.mark{fill:var(--mark);stroke:var(--mark)}.whisker{stroke:var(--mark);stroke-width:2}
.scroll{overflow-x:auto}
"""
WIDTH, ROW, LEFT = 520, 26, 150


class Row(NamedTuple):
    """A metric of one model."""

    name: str
    value: float
    low: float
    high: float
    definition: str


class Entry(NamedTuple):
    """A model of a leaderboard."""

    seconds: float
    metrics: Mapping[str, tuple[float, float, float]]
    verdicts: Mapping[str, str]
    hyperparameters: str


Slices = Sequence[tuple[str, int, Mapping[str, float]]]


def document(title: str, body: str) -> str:
    """Wrap a body in a page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a table; cells are HTML already, heads are text."""
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    lines = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f'<div class="scroll"><table><thead><tr>{top}</tr></thead><tbody>{lines}</tbody></table></div>'


def span(value: float, low: float, high: float) -> str:
    """Return a number with its interval."""
    if math.isnan(low):
        return f"{value:.4f}"
    return f"{value:.4f} <small>[{low:.4f}, {high:.4f}]</small>"


def intervals(title: str, points: Mapping[str, tuple[float, float, float]]) -> str:
    """Return a picture of values with their intervals, one line a model."""
    ends = [one for point in points.values() for one in point if math.isfinite(one)]
    place = scale(min(ends), max(ends), LEFT + 10, WIDTH - 20)
    parts: list[str] = []
    for at, (name, (value, low, high)) in enumerate(points.items()):
        y = ROW * (at + 0.75)
        parts.append(
            f'<text x="{LEFT - 8}" y="{y + 4:.1f}" text-anchor="end">{escape(name)}</text>'
        )
        if math.isfinite(low):
            parts.append(
                f'<line class="whisker" x1="{place(low):.1f}" x2="{place(high):.1f}" y1="{y:.1f}" y2="{y:.1f}"/>'
            )
        label = f"{name}: {value:.4f}" + (f" [{low:.4f}, {high:.4f}]" if math.isfinite(low) else "")
        parts.append(
            f'<circle class="mark" cx="{place(value):.1f}" cy="{y:.1f}" r="4"><title>{escape(label)}</title></circle>'
        )
    height = ROW * (len(points) + 1)
    parts.extend(
        f'<text x="{place(one):.1f}" y="{height - 4}" text-anchor="middle">{one:.3f}</text>'
        for one in (min(ends), max(ends))
    )
    return figure(title, WIDTH, height, "".join(parts))


def scatter(
    title: str, points: Mapping[str, tuple[float, float]], x_label: str, y_label: str, *, log: bool
) -> str:
    """Return a picture of one number against another, a point a model."""
    height = 300
    turn = {name: (math.log10(max(x, 1e-3)) if log else x, y) for name, (x, y) in points.items()}
    xs, ys = [x for x, _ in turn.values()], [y for _, y in turn.values()]
    across, up = scale(min(xs), max(xs), 70, WIDTH - 110), scale(min(ys), max(ys), height - 50, 25)
    parts = [
        f'<line class="axis" x1="60" x2="{WIDTH - 10}" y1="{height - 35}" y2="{height - 35}"/>',
        f'<line class="axis" x1="60" x2="60" y1="10" y2="{height - 35}"/>',
        f'<text x="{WIDTH / 2}" y="{height - 4}" text-anchor="middle">{escape(x_label)}</text>',
        f'<text x="14" y="{height / 2}" text-anchor="middle" transform="rotate(-90 14 {height / 2})">{escape(y_label)}</text>',
    ]
    for x in sorted({min(xs), max(xs)}):
        shown = 10**x if log else x
        parts.append(
            f'<text x="{across(x):.1f}" y="{height - 20}" text-anchor="middle">{shown:.2g}</text>'
        )
    parts.extend(
        f'<text x="56" y="{up(y) + 4:.1f}" text-anchor="end">{y:.3f}</text>'
        for y in sorted({min(ys), max(ys)})
    )
    for name, (x, y) in turn.items():
        label = f"{name}: {y_label} {points[name][1]:.4f}, {x_label} {points[name][0]:.3g}"
        parts.append(
            f'<circle class="mark" cx="{across(x):.1f}" cy="{up(y):.1f}" r="5"><title>{escape(label)}</title></circle>'
            f'<text x="{across(x) + 9:.1f}" y="{up(y) + 4:.1f}">{escape(name)}</text>'
        )
    return figure(title, WIDTH, height, "".join(parts))


class scale(NamedTuple):
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


def figure(title: str, width: float, height: float, inside: str) -> str:
    """Return an SVG with its caption."""
    return (
        f'<figure><svg role="img" aria-label="{escape(title)}" width="{width:g}" height="{height:g}" '
        f'viewBox="0 0 {width:g} {height:g}">{inside}</svg><figcaption>{escape(title)}</figcaption></figure>'
    )


def slice_table(slices: Slices) -> str:
    """Return a table of slices."""
    names = list(dict.fromkeys(name for _, _, values in slices for name in values))
    rows = [
        [
            escape(label),
            f"{n:,}",
            *(f"{values[name]:.4f}" if name in values else "" for name in names),
        ]
        for label, n, values in slices
    ]
    return table(["slice", "users", *names], rows)


def report(headline: str, rows: Sequence[Row], slices: Slices) -> str:
    """Return the page of one model."""
    lines = [
        [
            escape(one.name),
            span(one.value, one.low, one.high),
            f'<span class="dim">{escape(one.definition)}</span>',
        ]
        for one in rows
    ]
    body = f"<h1>Evaluation</h1><p>{escape(headline)}</p>{table(['metric', 'value', 'definition'], lines)}"
    if slices:
        body += f"<h2>Slices</h2>{slice_table(slices)}"
    return document("Evaluation", body)


def leaderboard(
    headline: str,
    rows: Mapping[str, Entry],
    definitions: Mapping[str, str],
    slices: Mapping[str, Slices],
) -> str:
    """Return the page of several models: table, pictures, definitions, slices."""
    metrics = list(definitions)
    first = metrics[0]
    lines = [
        [
            f"<strong>{escape(name)}</strong>",
            *(span(*one.metrics[metric]) for metric in metrics),
            f"{one.seconds:.1f}",
            escape(one.verdicts[first]),
        ]
        for name, one in rows.items()
    ]
    best = next(iter(rows))
    parts = [
        f"<h1>Leaderboard</h1><p>{escape(headline.partition(' on ')[2])}</p>",
        table(["model", *metrics, "training s", f"against {best}"], lines),
        "<p class='dim'>Brackets: bootstrap over users. Last column: paired t test on the same users, "
        "Holm-corrected, by the first metric.</p><h2>Intervals</h2>",
        *(
            intervals(metric, {name: one.metrics[metric] for name, one in rows.items()})
            for metric in metrics
        ),
        "<h2>Trade-offs</h2>",
        scatter(
            f"{first} against training time",
            {name: (one.seconds, one.metrics[first][0]) for name, one in rows.items()},
            "training seconds (log)",
            first,
            log=True,
        ),
    ]
    cover = next((one for one in metrics if one.startswith("coverage@")), None)
    if cover is not None:
        points = {
            name: (one.metrics[cover][0], one.metrics[first][0]) for name, one in rows.items()
        }
        parts.append(scatter(f"{first} against coverage", points, cover, first, log=False))
    parts.append("<h2>Definitions</h2>")
    parts.append(
        table(["metric", "definition"], [[escape(a), escape(b)] for a, b in definitions.items()])
    )
    parts.append("<h2>Slices</h2>")
    for name, some in slices.items():
        parts.append(f"<h3>{escape(name)}</h3>{slice_table(some)}")
    settings = [
        [escape(name), f"<code>{escape(one.hyperparameters)}</code>"] for name, one in rows.items()
    ]
    parts.append("<h2>Settings</h2>" + table(["model", "hyperparameters"], settings))
    return document("Leaderboard", "".join(parts))
