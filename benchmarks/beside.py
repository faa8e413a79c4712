"""Run a peer in its own interpreter: arrays and settings go in, what it measured comes out.

A peer's script in ``benchmarks/peers`` reads ``in.npz`` and ``settings.json`` of the folder that it is
given and writes ``out.json``, and ``out.npz`` where it predicts.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

import twofold as tw

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
    title: str, notes: list[str], head: list[str], rows: list[list[str]], suffix: str = ""
) -> None:
    """Print a table in Markdown, and with ``--save`` write it to ``docs/results`` as well."""
    lines = [f"# {title}", "", *notes, ""]
    lines += ["| " + " | ".join(head) + " |", "|" + "---|" * len(head)]
    lines += ["| " + " | ".join(row) + " |" for row in rows]
    text = "\n".join(lines) + "\n"
    sys.stdout.write(text)
    if "--save" in sys.argv:
        folder = HERE.parent / "docs" / "results"
        folder.mkdir(exist_ok=True)
        (folder / f"{Path(sys.argv[0]).stem}{suffix}.md").write_text(text)


def option(name: str, default: str) -> str:
    """Return what follows `name` on the command line."""
    return sys.argv[sys.argv.index(name) + 1] if name in sys.argv else default
