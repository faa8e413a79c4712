"""Self-contained HTML pages: tables and pictures, light and dark, for a desk and a phone."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from html import escape
from typing import NamedTuple

from twofold.evaluation import pictures

STYLE = """
:root{color-scheme:light dark;--ink:#1b1f24;--dim:#5b6472;--line:#dfe3ea;--back:#fff;--soft:#f5f7fa;--band:#1f6feb1f;
--c0:#1f6feb;--c1:#c2410c;--c2:#15803d;--c3:#9333ea;--c4:#b45309;--c5:#0e7490;--c6:#be185d;--c7:#4b5563}
@media(prefers-color-scheme:dark){:root{--ink:#e6e8ec;--dim:#9aa3b2;--line:#2c3340;--back:#12151a;--soft:#191e27;--band:#6cb0ff26;
--c0:#6cb0ff;--c1:#fb923c;--c2:#4ade80;--c3:#c084fc;--c4:#facc15;--c5:#22d3ee;--c6:#f472b6;--c7:#cbd5e1}}
*{box-sizing:border-box}
body{font:16px/1.5 system-ui,sans-serif;color:var(--ink);background:var(--back);max-width:76rem;margin:0 auto;padding:1.5rem 1rem 3rem}
h1{font-size:1.6rem;margin:0 0 .3rem}h2{font-size:1.15rem;margin:2.4rem 0 .6rem}p{margin:.3rem 0 1rem;max-width:62rem}
.lead{font-size:1.1rem}.dim,small{color:var(--dim)}
.scroll{overflow-x:auto}table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}
th,td{text-align:left;padding:.4rem .7rem;border-bottom:1px solid var(--line);vertical-align:top}
th{color:var(--dim);font-weight:600;font-size:.9rem;white-space:nowrap}tbody tr:hover{background:var(--soft)}
td small{display:block;white-space:nowrap;font-size:.78rem}td.best{font-weight:700}td.best small{font-weight:400}
td.words{min-width:11rem}code{font-size:.85rem;overflow-wrap:anywhere}
.bar{display:block;height:4px;border-radius:2px;margin-top:.25rem;background:var(--c0);opacity:.75;min-width:1px}
.key{display:inline-block;width:.7rem;height:.7rem;border-radius:50%;margin-right:.45rem}
.legend{display:flex;flex-wrap:wrap;gap:.2rem 1.1rem;margin:.3rem 0}
.grid-of{display:grid;grid-template-columns:repeat(auto-fit,minmax(min(100%,26rem),1fr));gap:1rem}
figure{margin:0;padding:.8rem;background:var(--soft);border-radius:10px;max-width:42rem}
figcaption{font-weight:600;margin-bottom:.3rem}svg{display:block;width:100%;height:auto}
svg text{fill:var(--ink);font:12px system-ui,sans-serif}svg text.dim,svg text.axis-name{fill:var(--dim);font-size:11px}
svg text.figure{font-variant-numeric:tabular-nums}svg text.label{paint-order:stroke;stroke:var(--soft);stroke-width:3px}
.grid{stroke:var(--line)}.band{fill:var(--band)}.front{fill:none;stroke:var(--dim);stroke-dasharray:4 4}.path{fill:none;stroke:var(--c);stroke-width:2}
.whisker{stroke:var(--c);stroke-width:3;stroke-linecap:round;opacity:.55}.dot{fill:var(--c);stroke:var(--soft);stroke-width:1.5}
.dot:hover{stroke:var(--ink);stroke-width:2.5}.key{background:var(--c)}
details{margin:.8rem 0}summary{cursor:pointer;color:var(--dim)}
@media print{details>*{display:block}}
""" + "".join(f".c{at}{{--c:var(--c{at})}}" for at in range(pictures.COLOURS))
FRACTION = 4
"""Digits behind the point."""


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
    metrics: Mapping[str, pictures.Point]
    verdicts: Mapping[str, str]
    hyperparameters: str


Slices = Sequence[tuple[str, int, Mapping[str, float]]]


class Definition(NamedTuple):
    """What a metric is, and which way is better."""

    text: str
    higher_is_better: bool


def document(title: str, body: str) -> str:
    """Wrap a body in a page."""
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width,initial-scale=1">'
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><main>{body}</main></body></html>\n"
    )


def table(head: Sequence[str], rows: Sequence[Sequence[str]], caption: str) -> str:
    """Return a table; cells are whole ``td`` or ``th`` elements, heads and caption are text."""
    top = "".join(f'<th scope="col">{escape(one)}</th>' for one in head)
    lines = "".join("<tr>" + "".join(row) + "</tr>" for row in rows)
    return (
        f'<div class="scroll"><table aria-label="{escape(caption)}"><thead><tr>{top}</tr></thead>'
        f"<tbody>{lines}</tbody></table></div>"
    )


def cell(inside: str, kind: str = "") -> str:
    """Return a table cell around HTML."""
    return f'<td class="{kind}">{inside}</td>' if kind else f"<td>{inside}</td>"


def span(point: pictures.Point) -> str:
    """Return a number with its interval."""
    value, low, high = point
    if math.isnan(low):
        return f"{value:.{FRACTION}f}"
    return f"{value:.{FRACTION}f} <small>[{low:.{FRACTION}f}, {high:.{FRACTION}f}]</small>"


def bar(value: float, largest: float) -> str:
    """Return a bar whose length is a share of the largest value."""
    share = max(0.0, min(1.0, value / largest)) if largest > 0 else 0.0
    return f'<span class="bar" style="width:{100 * share:.0f}%"></span>'


def key(name: str, colour: int) -> str:
    """Return a model's name with its colour."""
    return f'<span class="key c{colour % pictures.COLOURS}"></span>{escape(name)}'


def details(title: str, inside: str) -> str:
    """Return a part that opens when it is asked for."""
    return f"<details><summary>{escape(title)}</summary>{inside}</details>"


def slice_table(slices: Slices, caption: str) -> str:
    """Return a table of slices."""
    names = list(dict.fromkeys(name for _, _, values in slices for name in values))
    rows = [
        [
            cell(escape(label), "words"),
            cell(f"{n:,}"),
            *(cell(f"{values[name]:.{FRACTION}f}" if name in values else "") for name in names),
        ]
        for label, n, values in slices
    ]
    return table(["slice", "users", *names], rows, caption)


def report(headline: str, rows: Sequence[Row], slices: Slices) -> str:
    """Return the page of one model."""
    lines = [
        [
            cell(f"<strong>{escape(one.name)}</strong>"),
            cell(span((one.value, one.low, one.high))),
            cell(f'<span class="dim">{escape(one.definition)}</span>', "words"),
        ]
        for one in rows
    ]
    body = f"<h1>Evaluation</h1><p>{escape(headline)}</p>"
    body += table(["metric", "value", "definition"], lines, "Metrics")
    if slices:
        body += "<h2>Slices</h2>"
        first = next(iter(slices[0][2]), "")
        shown = {f"{label} ({n:,})": {first: values[first]} for label, n, values in slices if first in values}  # fmt: skip
        body += pictures.slices(first, shown, {first: 0})
        body += slice_table(slices, "Slices")
    return document("Evaluation", body)


def leaderboard(
    headline: str,
    rows: Mapping[str, Entry],
    definitions: Mapping[str, Definition],
    slices: Mapping[str, Slices],
    failed: Mapping[str, str],
) -> str:
    """Return the page of several models: table, who is `failed` and why, pictures, slices, definitions, settings."""
    metrics = list(definitions)
    first = metrics[0]
    colours = {name: at for at, name in enumerate(rows)}
    parts = [
        "<h1>Leaderboard</h1>",
        f'<p class="lead">{escape(conclusion(rows, first))}</p>',
        f'<p class="dim">{escape(headline)}</p>',
        main_table(rows, definitions, colours),
        *(
            f"<p><strong>{escape(name)}</strong> could not be fitted or measured: {escape(why)}</p>"
            for name, why in failed.items()
        ),
        '<p class="dim">Brackets are bootstrap intervals over users; the last column is the paired t test '
        f"on the same users by {escape(first)}, Holm-corrected.</p>",
        '<h2>Intervals</h2><p class="dim">The shaded band is the interval of the model in the first line.</p>',
        '<div class="grid-of">',
        *(
            pictures.intervals(
                f"{metric} ({'more' if definitions[metric].higher_is_better else 'less'} is better)",
                {name: one.metrics[metric] for name, one in rows.items()},
                colours,
            )
            for metric in metrics
        ),
        '</div><h2>Trade-offs</h2><p class="dim">The dashed line joins the models that none surpasses in both.</p>',
        '<div class="grid-of">',
        trade_off(rows, first, colours, definitions[first], None),
        *(
            trade_off(rows, first, colours, definitions[first], metric)
            for metric in metrics
            if metric.startswith("coverage@")
        ),
        "</div>",
        slice_part(rows, first, slices, colours),
        details(
            "Definitions of the metrics",
            table(
                ["metric", "definition"],
                [[cell(escape(a)), cell(escape(b.text))] for a, b in definitions.items()],
                "Definitions",
            ),
        ),
        details(
            "Hyperparameters",
            table(
                ["model", "hyperparameters"],
                [
                    [cell(escape(name)), cell(f"<code>{escape(one.hyperparameters)}</code>")]
                    for name, one in rows.items()
                ],
                "Hyperparameters",
            ),
        ),
    ]
    return document("Leaderboard", "".join(parts))


def conclusion(rows: Mapping[str, Entry], metric: str) -> str:
    """Say which model is best, and from which no difference is shown."""
    best = next(iter(rows))
    alike = [name for name, one in rows.items() if one.verdicts[metric] == "no difference shown"]
    said = f"Best by {metric}: {pictures.spoken(best, rows[best].metrics[metric])}."
    if alike:
        return f"{said} No difference shown from {', '.join(alike)}."
    return f"{said} Every other model is behind it." if len(rows) > 1 else said


def main_table(
    rows: Mapping[str, Entry], definitions: Mapping[str, Definition], colours: Mapping[str, int]
) -> str:
    """Return the table of all models and metrics, the best value of each metric in bold."""
    best: dict[str, float] = {}
    for metric, one in definitions.items():
        values = [row.metrics[metric][0] for row in rows.values()]
        best[metric] = max(values) if one.higher_is_better else min(values)
    lines = [
        [
            f'<th scope="row">{key(name, colours[name])}</th>',
            *(
                cell(
                    span(one.metrics[metric])
                    + bar(
                        one.metrics[metric][0], max(row.metrics[metric][0] for row in rows.values())
                    ),
                    "best" if one.metrics[metric][0] == best[metric] else "",
                )
                for metric in definitions
            ),
            cell(f"{one.seconds:.1f}"),
            cell(escape(one.verdicts[next(iter(definitions))])),
        ]
        for name, one in rows.items()
    ]
    head = ["model", *definitions, "training, s", f"against {next(iter(rows))}"]
    return table(head, lines, "Models by metric")


def trade_off(
    rows: Mapping[str, Entry],
    metric: str,
    colours: Mapping[str, int],
    definition: Definition,
    against: str | None,
) -> str:
    """Return a metric against another one, or against the training time where there is none."""
    points = {
        name: (one.seconds if against is None else one.metrics[against][0], one.metrics[metric])
        for name, one in rows.items()
    }
    what = against or "training seconds"
    return pictures.scatter(
        f"{metric} against {what}",
        points,
        (what, metric),
        colours,
        log=against is None,
        less_is_more=not definition.higher_is_better,
    )


def slice_part(
    rows: Mapping[str, Entry], metric: str, slices: Mapping[str, Slices], colours: Mapping[str, int]
) -> str:
    """Return the picture and the tables of the slices; nothing where there are none."""
    shown: dict[str, dict[str, float]] = {}
    for name, some in slices.items():
        for label, _, values in some:
            if metric in values:
                shown.setdefault(label, {})[name] = values[metric]
    if not shown:
        return ""
    legend = "".join(f"<span>{key(name, colours[name])}</span>" for name in rows)
    tables = "".join(
        f"<h3>{escape(name)}</h3>{slice_table(some, f'Slices of {name}')}"
        for name, some in slices.items()
    )
    return (
        f'<h2>Slices</h2><div class="legend">{legend}</div>'
        f"{pictures.slices(metric, shown, colours)}{details('All metrics of all slices', tables)}"
    )
