"""Run a peer in its own interpreter: arrays and settings go in, what it measured comes out.

A peer's script in ``benchmarks/peers`` reads ``in.npz`` and ``settings.json`` of the folder that it is
given and writes ``out.json``, and ``out.npz`` where it predicts.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
from scipy import stats

import twofold as tw
from twofold import jobs
from twofold.errors import did_you_mean
from twofold.evaluation.uncertainty import bootstrap, paired_test

HERE = Path(__file__).parent
PEERS = HERE.parent / ".venv-peers" / "bin" / "python"


def interpreter(environment: str = "") -> str | None:
    """Return the peers' interpreter: TWOFOLD_PEERS, or that of ``make peers``; None without one.

    `environment` names another one: ``rectools`` is ``.venv-peers-rectools``, or TWOFOLD_PEERS_RECTOOLS.
    """
    suffix = f"-{environment}" if environment else ""
    variable = f"TWOFOLD_PEERS{suffix}".replace("-", "_").upper()
    own = PEERS.parents[1].with_name(PEERS.parents[1].name + suffix) / "bin" / "python"
    path = os.environ.get(variable) or str(own)
    return path if Path(path).exists() else None


def ask(
    script: str, arrays: dict[str, np.ndarray], *, environment: str = "", **settings: Any
) -> dict[str, Any] | str:
    """Run ``benchmarks/peers/SCRIPT.py``; return what it wrote, or a sentence where it failed."""
    python = interpreter(environment)
    if python is None:
        return "no peers installed (make peers)"
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        np.savez(folder / "in.npz", **arrays)
        (folder / "settings.json").write_text(json.dumps(settings))
        done = subprocess.run(
            [python, str(HERE / "peers" / f"{script}.py"), name],
            check=False,
            capture_output=True,
            text=True,
        )
        if done.returncode:
            last = (done.stderr.strip().splitlines() or ["no message"])[-1]
            return f"failed: {last[:100]}"
        found: dict[str, Any] = json.loads((folder / "out.json").read_text())
        if (folder / "out.npz").exists():
            with np.load(folder / "out.npz") as made:
                found |= dict(made)
        return found


@dataclass(frozen=True, kw_only=True)
class Given:
    """An estimator whose vectors a peer learned."""

    users: Any = field(repr=False)
    items: Any = field(repr=False)


@dataclass(frozen=True, eq=False, kw_only=True)
class FittedGiven(tw.FittedModel):
    """A peer's vectors, ranked and measured as ours are."""

    @property
    def item_vectors(self) -> np.ndarray:
        """Shape (n_items, d)."""
        return self.estimator.items

    def lookup(self, users: np.ndarray) -> np.ndarray:
        """Return the learned vectors."""
        return self.estimator.users[users]

    def fold_in(self, histories: tw.Histories) -> np.ndarray:
        """Not asked for here."""
        raise NotImplementedError


def given(users: np.ndarray, items: np.ndarray, train: tw.Dataset) -> FittedGiven:
    """Return a peer's vectors, in the rows of `train`, as a model of it."""
    estimator = Given(
        users=np.ascontiguousarray(users, np.float32), items=np.ascontiguousarray(items, np.float32)
    )
    return FittedGiven(estimator=estimator, memory=tw.Memory.of(train))


def table(
    title: str,
    notes: list[str],
    head: list[str],
    rows: list[list[str]],
    suffix: str = "",
    below: Sequence[str] = (),
) -> None:
    """Print a table in Markdown, and with ``--save`` write it to ``docs/results`` as well.

    With ``--merge`` rows of the written table that were not measured now stay, where all above it is equal. Lines `below` the table
    say what concerns single rows.
    """
    path = HERE.parent / "docs" / "results" / f"{Path(sys.argv[0]).stem}{suffix}.md"
    if "--merge" in sys.argv and path.exists():
        rows = merged(path.read_text(), [f"# {title}", *notes, _line(head)], rows)
    lines = [f"# {title}", "", *notes, ""]
    lines += [_line(head), "|" + "---|" * len(head), *map(_line, rows)]
    lines += ["", *below] if below else []
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if "--save" in sys.argv:
        path.parent.mkdir(exist_ok=True)
        path.write_text(text)


def merged(text: str, fixed: list[str], rows: list[list[str]]) -> list[list[str]]:
    """Return the rows of a written table with those of the same first cell (first two, where several have the first) replaced and new ones at the end.

    `rows` alone where a line of `fixed` (title, notes, head) is not in the written table.
    """
    there = text.splitlines()
    if not set(fixed) <= set(there):
        return rows
    old = [
        line[2:-2].split(" | ") for line in there[there.index(fixed[-1]) + 2 :] if line[:1] == "|"
    ]
    cells = 1 if len({row[0] for row in rows}) == len(rows) else 2
    new = {tuple(row[:cells]): row for row in rows}
    kept = [new.pop(tuple(row[:cells]), row) for row in old]
    return kept + list(new.values())


def _line(cells: list[str]) -> str:
    return "| " + " | ".join(cells) + " |"


COMMON = {"--set", "--save", "--merge", "--name", "--child"}
"""Options of every script, and the one by which a script calls itself."""


def check_options(script: Any) -> None:
    """Print what a benchmark says of itself where ``--help`` is asked, and refuse options that it does not name.

    A misspelt ``--validation`` would measure the test part without a word.
    """
    said = script.__doc__ or ""
    if "--help" in sys.argv:
        sys.stdout.write(f"{said}\n")
        raise SystemExit(0)
    known = COMMON | set(re.findall(r"--[a-z-]+", said))
    for one in sys.argv[1:]:
        if one.startswith("--") and one not in known:
            raise SystemExit(f"there is no option {one}; {did_you_mean(one, sorted(known))}")


def option(name: str, default: str) -> str:
    """Return what follows `name` on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default


def settings() -> dict[str, Any]:
    """Return the hyperparameters that ``--set name=value,...`` names; values are read as those of `twofold fit --set`."""
    given = [one for one in option("--set", "").split(",") if one]
    return jobs.typed(given, "--set", "factors=64")


def mean_of(found: np.ndarray) -> str:
    """Return the mean of a figure over n seeds (n,), with half of its 95 % interval (t) where there are several."""
    mean = f"{np.mean(found):.4f}"
    if len(found) == 1:
        return mean
    return f"{mean} ± {stats.t.ppf(0.975, len(found) - 1) * stats.sem(found):.4f}"


def paired(more: np.ndarray) -> str:
    """Return the mean of differences (n,) and the p-value of the t-test that it is 0; nothing where there are none."""
    if not more.any():
        return ""
    return f"{more.mean():+.4f} (p = {stats.ttest_1samp(more, 0).pvalue:.2g})"


def kept(reports: dict[str, tw.Report]) -> dict[str, tw.Report]:
    """Return reports by row; with ``--reports FOLDER`` they are written there, and those of earlier runs are returned too."""
    folder = Path(option("--reports", ""))
    if "--reports" not in sys.argv:
        return reports
    for name, one in reports.items():
        one.save(folder / name)
    return {one.name: tw.Report.load(one) for one in sorted(folder.iterdir())}


DIFFERENCES = (
    "Differences of means over the same questions, 95 % bootstrap intervals over users, and p of the paired t test on "
    "users' sums."
)
"""What `differences` says."""


def differences(
    reports: dict[str, tw.Report],
    against: dict[str, tuple[str, ...]],
    metrics: list[str],
    seed: int,
) -> list[list[str]]:
    """Return a row for each row of `against` and each that is held against it, where both were measured; see `DIFFERENCES`."""
    rows: list[list[str]] = []
    for other, names in against.items():
        for name in names:
            if other not in reports or name not in reports:
                continue
            cells: list[str] = []
            for metric in metrics:
                one, two = (reports[label].totals[metric] for label in (name, other))
                weight = reports[name].weights[metric]
                low, high = bootstrap((one - two)[None], weight, rng=np.random.default_rng(seed))[0]
                away = (one - two).sum() / weight.sum()
                p = paired_test(one, two)
                cells.append(f"{away:+.4f} [{low:+.4f}, {high:+.4f}] (p = {p:.2g})")
            rows.append([f"{name} − {other}", *cells])
    return rows


if HERE in Path(getattr(sys.modules["__main__"], "__file__", None) or "/").resolve().parents:
    check_options(sys.modules["__main__"])
