"""Errors, hyperparameters, randomness: one sentence each, nothing accepted in silence."""

import linecache
import re
from typing import Annotated

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import PositiveFloat, PositiveInt

import twofold as tw
from twofold import drafts, errors
from twofold.hyperparameters import Search, hyperparameters, names, schema, search_space, values
from twofold.progress import track
from twofold.random import generator, kernel_seed


@hyperparameters
class Toy:
    """A declaration to test with."""

    factors: Annotated[PositiveInt, Search(2, 64, log=True)] = 8
    """Embedding size."""
    reg: PositiveFloat = 0.1
    """Penalty."""


def test_a_misspelt_hyperparameter_names_the_nearest():
    with pytest.raises(
        errors.ConfigError,
        match=r"Toy has no hyperparameter 'factor' \(got 4\).*did you mean 'factors'",
    ):
        Toy(factor=4)


@pytest.mark.parametrize(
    "bad",
    [
        {"factors": 0},
        {"factors": 2.5},
        {"factors": 2**31},
        {"factors": 10**30},
        {"reg": -1.0},
        {"reg": float("nan")},
        {"reg": float("inf")},
    ],
)
def test_a_wrong_value_is_refused_by_name(bad):
    ((name, value),) = bad.items()
    with pytest.raises(errors.ConfigError, match=rf"Toy\.{name} got {value}"):
        Toy(**bad)


REFUSED = {
    "DSSM: which optimiser": (lambda: tw.models.DSSM(optimiser={"learning_rate": 1}), "which does not say which one; add 'method': 'sgd' or 'adam' or 'adagrad'"),
    "BPR: 'popular' for a choice": (lambda: tw.models.BPR(negatives="popular"), 'write one of {"draws": "uniform"}, {"draws": "popular"}'),
    "a misspelt choice": (lambda: tw.models.FM(learner={"method": "mcmcc"}), "FM.learner got 'mcmcc'; allowed: mcmc, als, sgd; did you mean 'mcmc'?"),
    "a misspelt name inside a choice": (lambda: tw.models.IALS(solver={"method": "block", "sise": 3}), "IALS.solver.block has no hyperparameter 'sise' (got 3); allowed: method, size; did you mean 'size'?"),
    "a wrong value inside a choice": (lambda: tw.models.IALS(solver={"method": "block", "size": 0}), "IALS.solver.block.size got 0: input should be greater than 0"),
    "a misspelt word": (lambda: tw.models.ItemKNN(similarity="cosin"), "ItemKNN.similarity got 'cosin'; allowed: cosine, jaccard, bm25; did you mean 'cosine'?"),
    "a name for a list of names": (lambda: tw.models.ItemKNN(content="title"), "ItemKNN.content got 'title'; write ['title']"),
    "a misspelt name inside the only choice": (lambda: tw.models.DeepContent(sound={"min_secs": 10}), "DeepContent.sound has no hyperparameter 'min_secs' (got 10); allowed: sample_rate, bands, window, hop, low, high, scale, min_seconds, max_seconds, silence; did you mean 'min_seconds'?"),
    "no name": (lambda: tw.models.IALS(64), "IALS takes hyperparameters by name; write IALS(factors=64)"),
    "true for a number": (lambda: tw.models.IALS(factors=True), "IALS.factors got True, a bool: write a number"),
}  # fmt: skip


@pytest.mark.parametrize("case", REFUSED)
def test_what_is_wrong_is_said_with_what_is_allowed(case):
    make, said = REFUSED[case]
    with pytest.raises(errors.ConfigError, match=re.escape(said)):
        make()


def test_a_declaration_is_frozen_and_read_by_all():
    toy = Toy(factors=4)
    with pytest.raises(AttributeError):
        toy.factors = 5
    assert names(Toy) == ["factors", "reg"]
    assert values(toy) == {"factors": 4, "reg": 0.1}
    assert search_space(Toy) == {"factors": Search(2, 64, log=True, integer=True)}
    assert schema(Toy)["properties"]["factors"]["description"] == "Embedding size."


@given(st.integers(0, 2**63 - 1))
def test_a_seed_gives_one_stream(seed):
    assert generator(seed).random() == generator(seed).random()
    assert 1 <= kernel_seed(generator(seed)) < 2**31


@pytest.mark.parametrize("bad", [-1, "7", 1.5, True])
def test_a_senseless_seed_is_refused(bad):
    with pytest.raises(errors.ConfigError, match="rng must be"):
        generator(bad)


def test_a_generator_passes_through():
    own = np.random.default_rng(3)
    assert generator(own) is own


def test_progress_is_silent_off_a_terminal(capsys):
    assert list(track(range(3), "counting")) == [0, 1, 2]
    assert capsys.readouterr().err == ""


def test_a_missing_package_says_how_to_install_it():
    with pytest.raises(errors.MissingDependencyError, match=r"pip install 'twofold\[deep\]'"):
        errors.need("no_such_package_at_all", "deep")


def test_unknown_id_reads_as_a_sentence():
    assert str(errors.UnknownIdError("item 'x' is unknown", "x")) == "item 'x' is unknown"


def test_sentences_of_a_class_of_a_notebook(monkeypatch):
    """A notebook has no file: its cells are known to `linecache`, and the class by its methods."""
    cell = (
        '@hyperparameters\nclass Cell:\n    factors: int = 8\n    """Embedding size."""\n\n'
        "    def fit(self):\n        return self\n"
    )
    monkeypatch.setitem(linecache.cache, "<cell 7>", (len(cell), None, cell.splitlines(True), "<cell 7>"))  # fmt: skip
    space = {"__name__": "__main__", "hyperparameters": hyperparameters}
    exec(compile(cell, "<cell 7>", "exec"), space)
    assert schema(space["Cell"])["properties"]["factors"]["description"] == "Embedding size."


def test_two_writers_of_one_entry_each_bring_it_whole(tmp_path):
    path = tmp_path / "entry"
    with drafts.draft_of(path, "", shared=True) as one:
        one.write_text("the first")
        with drafts.draft_of(path, "", shared=True) as other:
            other.write_text("the second")
        assert path.read_text() == "the second"
    assert path.read_text() == "the first"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("package", [tw, tw.models, tw.online, tw.applications])
def test_a_package_lists_what_it_imports_when_it_is_used(package):
    """So that a notebook completes ``tw.models.Y``."""
    assert set(package.__all__) <= set(dir(package))
