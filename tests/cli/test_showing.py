"""Commands that show what there is, the demo, and evaluation of what was fitted."""

import json
import subprocess
import sys
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import polars as pl
import pytest

import twofold as tw
from twofold.cli import compare, doctor, train
from twofold.data.synthetic import small_log
from twofold.errors import DataError


def states(run):
    code, out, _ = run("doctor", "--json")
    return code, {row["what"]: row for row in json.loads(out)}


def test_doctor_tells_what_is_there_and_what_helps(run, monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "twofold" / "datasets" / "ml-100k").mkdir(parents=True)
    code, found = states(run)
    assert code == 0
    assert {"python", "numba", "extra deep", "threads", "memory", "NO_COLOR", "kernels"} <= set(
        found
    )
    assert "ml-100k" in found["cache"]["found"]
    assert run("doctor")[1].splitlines()[-1] == "this machine is ready: twofold demo"


def test_doctor_finds_faults(run, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("TWOFOLD_DATA", str(tmp_path / "none"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "file"))
    monkeypatch.setattr(doctor, "free_memory", lambda: 1e8)
    monkeypatch.setattr(doctor, "SLOW", -1)
    monkeypatch.setattr(doctor.os, "sched_getaffinity", lambda _: range(1000), raising=False)
    monkeypatch.setattr(doctor, "OPTIONAL", {"none": ("no_such_module",)})
    code, found = states(run)
    assert code == 1
    assert found["TWOFOLD_DATA"]["state"] == "fault"
    assert found["extra none"]["state"] == ""
    for what in ("cache", "memory", "threads", "kernels"):
        assert found[what]["state"] == "hint", what
    assert run("doctor")[1].splitlines()[-1] == "this machine is not ready"


def test_doctor_says_when_kernels_are_wrong_and_memory_is_unknown(run, monkeypatch):
    class Wrong:
        def __init__(self, **settings):
            pass

        def fit(self, data, rng):
            return SimpleNamespace(item_vectors=np.array([1.0, np.nan]))

    monkeypatch.setattr(tw.models, "IALS", Wrong)
    monkeypatch.setattr(doctor, "free_memory", lambda: float("inf"))
    code, found = states(run)
    assert code == 1
    assert found["kernels"]["state"] == "fault"
    assert "memory" not in found


@pytest.mark.parametrize("name", tw.models.__all__)
def test_a_model_is_shown_with_bounds_defaults_ranges_and_sentences(run, name):
    code, out, _ = run("models", name)
    assert code == 0
    for field, about in (
        tw.hyperparameters.schema(getattr(tw.models, name)).get("properties", {}).items()
    ):
        (line,) = [
            one
            for one in out.splitlines()
            if one.split("  ")[0] == field and about["description"].split()[0] in one
        ][:1]
        assert " ".join(about["description"].split())[-20:] in line
    assert f"twofold fit {name}" in out


def test_a_setting_that_models_shows_is_taken(run, tmp_path, log_file):
    out = run("models", "IALS")[1]
    setting = out.strip().splitlines()[-1].split("--set ")[1]
    assert run("fit", "IALS", "--data", log_file, "--out", tmp_path / "r", "--set", setting)[0] == 0
    assert "Exact: " in out
    assert '"conjugate gradient"' in out


def test_a_data_set_is_shown_with_where_it_is(run, monkeypatch, tmp_path):
    monkeypatch.setenv("TWOFOLD_DATA", str(tmp_path))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    (tmp_path / "frappe").mkdir()
    (tmp_path / "cache" / "twofold" / "datasets" / "ml-1m").mkdir(parents=True)
    here = {one["name"]: one["here"] for one in json.loads(run("datasets", "--json")[1])}
    assert here["frappe"] == "in TWOFOLD_DATA"
    assert here["ml-1m"] == "in the cache"
    assert here["ml-20m"] == "is fetched"
    assert here["tafeng"] == "put it into TWOFOLD_DATA"
    code, out, _ = run("datasets", "ml-100k")
    assert code == 0
    assert "next: twofold compare --data ml-100k" in out
    assert json.loads(run("datasets", "ml-100k", "--json")[1])["name"] == "ml-100k"
    assert "did you mean 'ml-100k'" in run("datasets", "ml100k")[2]
    assert "licence" in run("datasets")[1]


@pytest.fixture
def small_demo(monkeypatch):
    """Make the demo a small one on generated data."""
    from twofold.cli import demo

    log = replace(small_log(), notes=("GENERATED DATA",))
    monkeypatch.setattr(demo.datasets, "load_or_generate", lambda name: log)
    models = {"ease": {"class": "EASE"}, "popularity": {"class": "Popularity"}}
    monkeypatch.setitem(demo.JOB, "models", models)
    return demo


def test_the_demo_compares_recommends_explains_and_writes(run, small_demo, tmp_path):
    code, out, err = run("demo", "--out", tmp_path / "demo")
    assert code == 0, err
    assert "note: GENERATED DATA" in err
    assert "recommends to user" in out
    assert "because of what user" in out
    assert (tmp_path / "demo" / "report.html").exists()
    assert json.loads(run("demo", "--out", tmp_path / "demo", "--json")[1])["best"]
    titles = tw.Dataset.from_frames(
        {"user": [1], "item": [2]},
        user="user",
        item="item",
        items={"item": [2], "title": ["Two"]},
        item_features={"title": "text"},
    )
    frame = small_demo.titled(pl.DataFrame({"item": [2]}), titles)
    assert frame["title"].to_list() == ["Two"]


def test_evaluate_needs_no_data_where_the_run_tells_them(run, log_file, tmp_path):
    folder = tmp_path / "run"
    code, out, err = run("fit", "EASE", "--data", log_file, "--out", folder, "--json")
    assert code == 0, err
    fitted = json.loads(out)["report"]["metrics"]
    assert json.loads((folder / "metrics.json").read_text())["metrics"] == fitted
    code, out, err = run("evaluate", folder, "--json")
    assert code == 0, err
    assert json.loads(out)["metrics"] == fitted
    assert run("evaluate", folder, "--user", "u")[2].startswith("error: columns go with --data")
    assert "predict ratings" in run("evaluate", folder, "--metric", "rmse")[2]
    html = tmp_path / "page.html"
    assert run("evaluate", folder, "--data", log_file, "--html", html, "--metric", "ndcg@5")[0] == 0
    assert html.exists()
    tw.load(folder / "model").save(tmp_path / "alone")
    assert "lies in no run" in run("evaluate", tmp_path / "alone")[2]
    other = tmp_path / "other.csv"
    pl.DataFrame({"user": [1, 2], "item": ["never", "seen"]}).write_csv(other)
    code, _, err = run("evaluate", tmp_path / "alone", "--data", other)
    assert (code, "of the same catalogue?" in err) == (2, True)


def test_fit_takes_the_split_that_is_named(run, log_file, tmp_path):
    command = ("fit", "EASE", "--data", log_file, "--out", tmp_path / "run")
    assert "takes no share" in run(*command, "--split", "leave_last", "--test", 0.2)[2]
    assert "must be a share" in run(*command, "--test", "nan")[2]
    assert "needs n" in run(*command, "--split", "fixed_train")[2]
    assert "name=kind" in run(*command, "--item-feature", "genres")[2]
    assert 'give items = "items.csv"' in run(*command, "--item-feature", "genres=tags")[2]
    code, out, err = run(*command, "--split", "leave_last")
    assert code == 0, err
    assert "leave_last(n=1" in out
    code, out, _ = run("fit", "EASE", "--data", log_file, "--out", tmp_path / "all", "--test", 0)
    assert code == 0
    assert "ndcg" not in out
    assert not (tmp_path / "all" / "metrics.json").exists()


def test_compare_needs_a_file_only(run, log_file, monkeypatch):
    monkeypatch.setattr(compare, "USUAL_MODELS", ("EASE", "ItemKNN"))
    code, out, err = run("compare", "--data", log_file, "--metric", "ndcg@5", "--json")
    assert code == 0, err
    assert set(json.loads(out)["models"]) == {"EASE", "ItemKNN", "popularity"}
    assert "nothing was saved; --out" in err

    def too_big(n_items, free):
        raise DataError("EASE needs more")

    monkeypatch.setattr(compare, "check_memory", too_big)
    code, out, err = run("compare", "--data", log_file, "--metric", "ndcg@5", "--json")
    assert set(json.loads(out)["models"]) == {"ItemKNN", "popularity"}
    assert "EASE is left out" in err


def test_ratings_are_compared_among_models_that_predict_them(run, log_file, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(
        f'metrics = ["rmse"]\n[data]\nsource = "{log_file}"\n[split]\nkind = "random"\n'
        "[models.PMF]\nfactors = 2\nepochs = 2\n[models.BiasedMF]\nfactors = 2\nepochs = 2\n"
    )
    code, out, err = run("compare", job, "--json")
    assert code == 0, err
    assert set(json.loads(out)["models"]) == {"PMF", "BiasedMF", "mean rating"}
    bare = tmp_path / "bare.csv"
    pl.read_csv(log_file).select("user", "item").write_csv(bare)
    job.write_text(job.read_text().replace(str(log_file), str(bare)))
    code, _, err = run("compare", job)
    assert (code, "needs a log with ratings" in err) == (2, True)


def test_what_a_split_lacks_is_said_before_training(run, log_file, tmp_path):
    job = tmp_path / "job.toml"
    job.write_text(
        f'[data]\nsource = "{log_file}"\n[split]\nkind = "random"\n[evaluation]\npart = "validation"\n[models.EASE]\n'
    )
    assert "needs a split that has one" in run("compare", job)[2]
    assert "this split has none" in run("tune", job, "--out", tmp_path / "t")[2]
    job.write_text(f'[data]\nsource = "{log_file}"\n')
    assert "a comparison needs models" in run("compare", job)[2]
    assert "nothing to tune" in run("tune", job, "--out", tmp_path / "t")[2]


def test_tune_without_a_job_tells_the_next_command(run, log_file, tmp_path):
    folder = tmp_path / "tuned"
    command = ("tune", "--data", log_file, "--model", "EASE", "--split", "random", "--metric")
    code, out, err = run(*command, "recall@5", "--trials", 2, "--out", folder)
    assert code == 0, err
    assert "the best 2 of 2 trials" in out
    assert f"next: twofold compare {folder / 'tuned.toml'}" in out
    assert "holds settings and no model" in run("recommend", folder)[2]
    code, _, err = run(*command, "ndcg@5", "--trials", 2, "--out", folder)
    assert (code, "belongs to another job" in err) == (2, True)


def test_tune_says_when_no_setting_makes_a_difference(run, log_file, tmp_path):
    command = (
        "tune",
        "--data",
        log_file,
        "--model",
        "EASE",
        "--trials",
        3,
        "--metric",
        "recall@1000",
    )
    _, out, err = run(
        *command, "--split", "random", "--out", tmp_path / "tuned"
    )  # as many as there are items
    assert "the best 3 of 3 trials" in out
    assert "note: EASE: all settings have the same recall@1000, so reg change nothing here" in err


def test_evaluate_says_what_the_leaderboard_says(run, log_file, tmp_path):
    folder = tmp_path / "board"
    command = ("compare", "--data", log_file, "--model", "BPR", "--metric", "recall@7", "--seed", 3)
    assert run(*command, "--out", folder)[0] == 0
    board = json.loads((folder / "leaderboard.json").read_text())["models"]["BPR"]["report"][
        "metrics"
    ]
    _, out, _ = run("evaluate", folder / "models" / "BPR", "--json")
    found = json.loads(out)["metrics"]
    assert list(found) == ["recall@7"]
    assert found == board


def test_a_long_ranking_is_said_before_it_begins(run, log_file, tmp_path, monkeypatch):
    pytest.importorskip("torch")
    command = ("fit", "YouTubeRanker", "--data", log_file, "--set", "epochs=1", "--out")
    assert "takes long" not in run(*command, tmp_path / "one")[2]
    monkeypatch.setattr(train, "MANY_PAIRS", 10)
    _, _, err = run(*command, tmp_path / "other")
    assert "which takes long; the model is saved: stop here, or fit with --test 0" in err


def test_the_command_starts_as_a_module_and_shows_its_version():
    ran = subprocess.run(
        [sys.executable, "-m", "twofold", "--version"], capture_output=True, text=True, check=False
    )
    assert (ran.returncode, ran.stdout) == (0, f"{tw.__version__}\n")


def test_a_missing_package_says_how_to_install_it(run, log_file, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "optuna", None)
    code, _, err = run("tune", "--data", log_file, "--model", "EASE", "--out", tmp_path / "t")
    assert code == 2
    assert "pip install 'twofold[tune]'" in err
    assert not (tmp_path / "t").exists()


def test_options_that_do_not_exist_are_refused(run):
    code, _, err = run("fit", "IALS", "--sett", "x")
    assert (code, "--set" in err) == (2, True)
    assert run("version") == run("version")
    assert run("--version")[:2] == (0, f"{tw.__version__}\n")
