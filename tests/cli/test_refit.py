"""A model that is measured first and then trained on everything, with the report of the first."""

import json

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.testing import planted_log


@pytest.fixture
def log(tmp_path):
    """A log in a file."""
    planted_log().frame("interactions").write_csv(tmp_path / "log.csv")
    return tmp_path / "log.csv"


def test_the_model_is_that_of_everything_and_the_report_that_of_a_part(run, log, tmp_path):
    """A model for which nothing was held out had no report, so that no server took it without force."""
    fit = ("fit", "IALS", "--data", log, "--set", "factors=4", "--set", "epochs=3", "--json")
    kinds = {"plain": (), "all": ("--test", "0"), "ship": ("--test", "0.2", "--refit"), "part": ("--test", "0.2")}  # fmt: skip
    said = {}
    for name, more in kinds.items():
        code, out, err = run(*fit, "--out", tmp_path / name, *more)
        assert code == 0, err
        said[name] = json.loads(out)["report"]
    vectors = {name: tw.load(tmp_path / name / "model").item_vectors for name in kinds}
    np.testing.assert_array_equal(vectors["ship"], vectors["all"])
    measured = tw.load(tmp_path / "ship" / "measured").item_vectors
    np.testing.assert_array_equal(measured, vectors["part"])
    assert said["ship"]["metrics"] == said["part"]["metrics"]
    assert said["ship"]["notes"][-1].startswith("trained again on everything")
    assert json.loads((tmp_path / "ship" / "metrics.json").read_text())["notes"] == said["ship"]["notes"]  # fmt: skip
    code, out, err = run(*fit, "--out", tmp_path / "ship", *kinds["ship"])
    assert code == 0, err
    assert err.count("was trained before") == 2
    assert json.loads(out)["report"]["metrics"] == said["ship"]["metrics"]
    code, _, err = run(*fit, "--out", tmp_path / "ship", *kinds["part"])
    assert code == 2
    assert "belongs to another job (other refit)" in err


def test_what_everything_was_trained_on_cannot_test_it(run, log, tmp_path):
    ship = tmp_path / "ship"
    assert run("fit", "ItemKNN", "--data", log, "--out", ship, "--refit")[0] == 0
    code, _, err = run("evaluate", ship)
    assert code != 0
    assert f"its report is of {ship / 'measured'}" in err
    assert run("evaluate", ship / "measured")[0] == 0
    code, _, err = run("fit", "ItemKNN", "--data", log, "--out", tmp_path / "no", "--refit", "--test", "0")  # fmt: skip
    assert code == 2
    assert "leave out --test 0, or --refit" in err


def test_a_network_learns_everything_for_as_long_as_was_best(run, log, tmp_path):
    pytest.importorskip("torch", reason="the extra deep is not installed")
    options = ("--set", "factors=8", "--set", "epochs=12", "--set", "patience=2", "--split", "leave_last", "--split-option", "validation=true")  # fmt: skip
    code, _, err = run("fit", "GRU4Rec", "--data", log, "--out", tmp_path / "net", "--refit", *options)  # fmt: skip
    assert code == 0, err
    first, second = (tw.load(tmp_path / "net" / name) for name in ("measured", "model"))
    assert second.estimator.epochs == first.best_epoch == second.best_epoch
    assert len(second.memory.log()) == len(pl.read_csv(log))
    assert not (tmp_path / "net" / "training").exists()
