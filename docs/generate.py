"""Write the generated parts of the documentation: ``python docs/generate.py [--check]``."""

from __future__ import annotations

import sys
from pathlib import Path

import twofold as tw
from twofold.cli.inspect import accepts, span
from twofold.hyperparameters import names, schema, search_space
from twofold.metrics import DEFINITIONS

HERE = Path(__file__).parent
METRICS_HEAD = """# Metrics

The whole catalogue is ranked, nothing is sampled. Means are over users with at least one target; `report.n_users` counts them. `@k` is the list length.

| name | definition, with its denominator |
|---|---|
"""
METRICS_FOOT = """
Intervals are bootstrap intervals over users; comparisons are paired t tests over the same users with Holm's correction. Generated from the declarations by `make docs`.
"""


def reference() -> str:
    """Return the page of all hyperparameters."""
    lines = ["# Hyperparameters", "", "Generated from the declarations by `make docs`.", ""]
    for name in tw.models.__all__:
        cls = getattr(tw.models, name)
        ranges, described = search_space(cls), schema(cls).get("properties", {})
        lines += [f"## {name}", "", (cls.__doc__ or "").strip().splitlines()[0], ""]
        lines += ["| name | accepts | default | tuned over | meaning |", "|---|---|---|---|---|"]
        for field in names(cls):
            search = ranges.get(field)
            tuned = "" if search is None else span(search)
            about = described[field]
            meaning = " ".join(about["description"].split())
            default = repr(getattr(cls(), field))
            lines.append(f"| `{field}` | {accepts(about)} | `{default}` | {tuned} | {meaning} |")
        lines.append("")
    return "\n".join(lines)


def metric_table() -> str:
    """Return the page of all metrics."""
    rows = [f"| `{name}` | {said} |" for name, (_, said) in DEFINITIONS.items()]
    return METRICS_HEAD + "\n".join(rows) + "\n" + METRICS_FOOT


def main() -> int:
    """Write the pages, or with ``--check`` say whether they are current."""
    pages = {"hyperparameters.md": reference(), "metrics.md": metric_table()}
    if "--check" in sys.argv:
        return int(any((HERE / name).read_text() != page for name, page in pages.items()))
    for name, page in pages.items():
        (HERE / name).write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
