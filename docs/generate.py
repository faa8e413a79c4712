"""Write the generated parts of the documentation: ``python docs/generate.py [--check]``."""

from __future__ import annotations

import inspect
import re
import sys
from pathlib import Path

import twofold as tw
from twofold.cli.inspect import accepts, span
from twofold.hyperparameters import names, parts, schema, search_space
from twofold.metrics import DEFINITIONS

HERE = Path(__file__).parent
METRICS_HEAD = """# Metrics

The whole catalogue is ranked, nothing is sampled. `@k` is the list length.

| name | definition, with its denominator |
|---|---|
"""
METRICS_FOOT = """
Generated from the declarations by `make docs`.

## Whom a mean is over

List metrics and `auc` are means over users with at least one target, or over questions where events or baskets are asked for (below); `report.n_users` counts them. A target that training never saw counts as missed
(`unknown_items="count"`), or is dropped with users who have no other (`"drop"`), or its item is placed by content (`"content"`, below). Coverage, novelty, popularity bias, Gini and diversity are over all users of the part
who get a list. `rmse` and `mae` are means over ratings, not over users. `report.per_user` and `report.weights` hold every user's share.

## What is asked

`evaluate(..., ask="each user")`, the default, asks once for everybody, for all that the part holds of them, and the model answers from what it remembers of training. `ask="each event"` makes every held-out event a question of its own
with one target, told its time and context columns and all that its user did before it, in training and since; `"each basket"` what somebody took at one time. Means are then over questions. `up_to_date=False` asks so without telling
what happened since training, `True` tells it where everybody is asked once. `new="before"` asks only for what the user never had before the question, `"training"` for what they did not have in training, and hides the rest.

## Items that training never saw

With `unknown_items="content"` the items of the held-out part that training never saw are added to the model by their features (`with_items`) before anything is ranked; nothing is retrained, and the
leak check has run before. A model that does not read content is refused by name; popularity stays as the baseline, with the score 0 for every new item. Ties of new items
are decided by an order drawn from `rng`, not by ids: ids are often given in the order of arrival, and early items are the popular ones, so that on ML-100K the order of the ids alone beats many a model.

| `candidates` | what is listed | what is a target | the question |
|---|---|---|---|
| `"all"` | the whole catalogue and the new items | every held-out item | do new items find their place among the known ones? |
| `"new"` | the new items alone | held-out items that are new | which of the new items are for whom? (out-of-matrix prediction of Wang & Blei 2011, CTR) |

Among the new ones, `coverage`, `gini` and `auc` are over the new items; `rmse` and `mae` are over all held-out ratings in both. The slice "items never seen" holds their targets.

## At the edges

* **Relevance is binary.** An event of the held-out part makes its item relevant; `relevant_from=4` asks for ratings of 4 and more. Grades are not
  read: the gain of a grade (its value, or 2^grade - 1) is a choice that changes the order of models, and logs of one person's ratings seldom agree on a scale.
  Rating errors are what `rmse` and `mae` are for.
* A list that is shorter than k is taken as it is: what is missing is no hit, and `precision` still divides by k. k may pass the catalogue.
* A target that occurs twice counts once. An item that a list names twice counts at its first place.
* Ties in score go to the item whose id comes first in sorted order (the lower row), for every model; `auc` counts a tie as half. Scores within the rounding
  error of float32 are decided by the product in a fixed order, so that no value depends on blocks or threads.
* Where repeats are allowed (`split.repeats`) what was seen is not hidden, and the number of training events of an item may pass the number of users: its
  novelty is then negative.
* A target that its user had before, where what was seen is hidden, counts as missed: no list can name it, and `auc` ranks it behind all others. The headline says how many there are
  (`report.n_hidden_targets`); `new="before"` does not ask for them, `exclude_seen=False` lists them. Asked event by event, a log whose split drops repeats still has them: what somebody took
  twice within the held-out part.
* Someone who has used the whole catalogue has an empty list: list metrics are 0, metrics beyond accuracy are not defined for them.

## Intervals and tests

Intervals are percentile bootstrap intervals of 1,000 resamples of users, the same resamples for every metric; from 20,000 users on, their normal limit by the
delta method. Comparisons are Student's paired t tests over the same users with Holm's correction over all pairs of models of a leaderboard, because the best is found on the same users; a corrected p of 0.05 or more
reads "no difference shown". Coverage and Gini are properties of all lists together and have no interval. The tests simulate how often intervals cover.

## Which other libraries differ, and why

The list metrics are held to scikit-learn, ranx and trec_eval (pytrec_eval) in the tests, to 1e-9, where the definitions agree: precision, recall, hit, NDCG, MRR, AUC, log-loss.

| library | metric | what it does |
|---|---|---|
| ranx, trec_eval, RecTools | MAP@k | divides by all relevant items of the user, ours by min(k, relevant); equal for users with no more than k |
| RecTools | NDCG@k | by default divides by the ideal of k hits, not of min(k, relevant) |
| implicit 0.7 | `precision_at_k` | divides the hits of all users by the sum of min(k, relevant): nearer to `recall_capped` here than to a precision |
| Mult-VAE's published code | Recall@k | divides by min(k, relevant): `recall_capped` here; NGCF and LightGCN divide by all relevant items: `recall` here |
| SASRec, BERT4Rec, NCF papers | HR, NDCG | rank one target among 100 sampled items; not comparable with full ranking |
"""
PARTS = "Tables that hyperparameters hold; `twofold tune` searches them with the model, under names like `optimiser.learning_rate`."
SAID = re.compile(r"^(Differs from the papers?): (.*?)(?:\n\s*\n|\Z)", re.M | re.S)
"""The paragraph of a docstring on what differs from a paper: how it opens, and the rest."""
WRITTEN = re.compile(r"^\*\*Differs from the papers?\.\*\*.*(?:\n(?!\*\*).+)*", re.M)
"""That of a page: up to an empty line, or the next paragraph with a heading."""
LETTERS = {"alpha": "α", "beta": "β", "gamma": "γ", "epsilon": "ε", "theta": "θ", "mu": "μ"}
SYMBOLS = {
    **{rf"(?<![A-Za-z]){name}(?![A-Za-z])": letter for name, letter in LETTERS.items()},
    r"sqrt\((\w)\)": r"√\1",
    r"sqrt\(": "√(",
    r"\+-": "±",
    r"(?<=\w) \. (?=\w)": "·",
}
"""How pages write what docstrings spell, by regular expression."""


def reference() -> str:
    """Return the page of all hyperparameters, the parts that several models may hold once at its end."""
    lines = ["# Hyperparameters", "", "Generated from the declarations by `make docs`.", ""]
    holders: dict[type, list[str]] = {}
    for name in tw.models.__all__:
        cls = getattr(tw.models, name)
        lines += [f"## {name}", "", *rows_of(cls)]
        for part in parts(cls):
            holders.setdefault(part, []).append(name)
    lines += ["# Parts", "", PARTS, ""]
    for part, owners in sorted(holders.items(), key=lambda one: one[0].__name__):
        lines += [f"## {part.__name__} ({', '.join(owners)})", "", *rows_of(part)]
    return "\n".join(lines)


def rows_of(cls: type) -> list[str]:
    """Return the first sentence of a declaration and the table of its fields."""
    ranges, described = search_space(cls), schema(cls).get("properties", {})
    lines = [(cls.__doc__ or "").strip().splitlines()[0], ""]
    lines += ["| name | accepts | default | tuned over | meaning |", "|---|---|---|---|---|"]
    for field in names(cls):
        search = ranges.get(field)
        tuned = "" if search is None else span(search)
        about = described[field]
        meaning = " ".join(about["description"].split())
        default = repr(getattr(cls(), field))
        lines.append(f"| `{field}` | {accepts(about)} | `{default}` | {tuned} | {meaning} |")
    return [*lines, ""]


def metric_table() -> str:
    """Return the page of all metrics."""
    rows = [f"| `{name}` | {said} |" for name, (_, said) in DEFINITIONS.items()]
    return METRICS_HEAD + "\n".join(rows) + "\n" + METRICS_FOOT


def differs(name: str) -> str | None:
    """Return the paragraph of a model's page on what differs from its paper; None where no docstring says anything.

    It stands once: in the docstring of the module, of the class, or of its ``fit``.

    Raises
    ------
    ValueError
        If it stands in several.
    """
    cls = getattr(tw.models, name)
    docs = [inspect.getdoc(one) or "" for one in (inspect.getmodule(cls), cls, cls.fit)]
    found = [one for doc in docs for one in SAID.findall(doc)]
    if len(found) > 1:
        raise ValueError(f"{name} says {len(found)} times what differs from its paper; say it once")
    if not found:
        return None
    opening, said = found[0]
    said = " ".join(said.split()).replace("``", "`")
    said = said[0].upper() + said[1:]
    # What stands between backticks is code.
    parts = re.split("(`[^`]*`)", said)
    return f"**{opening}.** " + "".join(
        one if at % 2 else spelled(one) for at, one in enumerate(parts)
    )


def spelled(text: str) -> str:
    """Return text of a docstring with the symbols and links of a page."""
    for written, symbol in SYMBOLS.items():
        text = re.sub(written, symbol, text)
    return re.sub(r"decision (\d{4})", lambda found: linked(found[1]), text)


def linked(number: str) -> str:
    """Return a link from a model's page to a decision."""
    (path,) = (HERE / "decisions").glob(f"{number}-*.md")
    return f"[decision {number}](../decisions/{path.name})"


def model_pages() -> dict[str, str]:
    """Return the pages of models with what their docstrings say differs from a paper, by path.

    Raises
    ------
    ValueError
        If a page has no place for it, or has one though no docstring says anything.
    """
    paths = {path.stem.replace("_", ""): path for path in (HERE / "models").glob("*.md")}
    pages: dict[str, str] = {}
    for name in tw.models.__all__:
        said, path = differs(name), paths[name.lower()]
        page, places = WRITTEN.subn(said or "", path.read_text())  # no backslashes in it
        if places != (said is not None):
            raise ValueError(
                f"{path.name} has {places} paragraphs on what differs from the paper, and the docstring of {name} "
                f"{'none' if said is None else 'one'}; give the page as many"
            )
        pages[f"models/{path.name}"] = page
    return pages


def main() -> int:
    """Write the pages, or with ``--check`` say whether they are current."""
    pages = {"hyperparameters.md": reference(), "metrics.md": metric_table(), **model_pages()}
    if "--check" in sys.argv:
        return int(any((HERE / name).read_text() != page for name, page in pages.items()))
    for name, page in pages.items():
        (HERE / name).write_text(page)
    return 0


if __name__ == "__main__":
    sys.exit(main())
