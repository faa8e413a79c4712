"""Every command does its job, says so as JSON on demand, and refuses bad input in one sentence."""

import json
import subprocess
import sys

import numpy as np
import polars as pl
import pytest

import twofold as tw

JOB = """
seed = 1
metrics = ["ndcg@5", "recall@5"]
[data]
source = "ratings.csv"
[split]
kind = "last_fraction"
test = 0.2
validation = 0.2
[models.ials]
class = "IALS"
factors = 4
[models.Popularity]
"""


@pytest.fixture
def job_file(tmp_path, log_file):
    (tmp_path / "ratings.csv").write_bytes(log_file.read_bytes())
    path = tmp_path / "job.toml"
    path.write_text(JOB)
    return path


@pytest.fixture
def fitted(run, log_file, tmp_path):
    folder = tmp_path / "run"
    code, _, err = run(
        "fit", "IALS", "--data", log_file, "--out", folder, "--set", "factors=4", "--seed", 3
    )
    assert code == 0, err
    return folder


def test_a_fitted_model_is_the_one_that_python_fits(fitted, log_file):
    data = tw.Dataset.read(log_file)
    split = tw.split.default(data, test=0.1, validation=0)
    same = tw.models.IALS(factors=4).fit(split.train, rng=3)
    model = tw.load(fitted / "model")
    assert model.item_vectors.tobytes() == same.item_vectors.tobytes()


def test_a_run_folder_says_what_was_done_with_what(fitted):
    about = json.loads((fitted / "run.json").read_text())
    assert about["seed"] == 3
    assert about["twofold"] == tw.__version__
    assert len(about["data_sha256"]) == 64
    job = json.loads((fitted / "job.json").read_text())
    assert job["models"]["IALS"]["factors"] == 4
    assert job["models"]["IALS"]["reg"] == tw.models.IALS().reg
    assert (fitted / "log.txt").exists()


def test_evaluate_measures_the_part_that_was_held_out(run, fitted, log_file):
    code, out, err = run("evaluate", fitted, "--data", log_file, "--metric", "ndcg@5", "--json")
    assert code == 0, err
    split = tw.split.default(tw.Dataset.read(log_file), test=0.1, validation=0)
    report = tw.evaluate(tw.load(fitted / "model"), split, ["ndcg@5"])
    assert json.loads(out)["metrics"]["ndcg@5"]["value"] == report.values["ndcg@5"]


def test_a_model_of_all_data_is_not_tested_on_them(run, log_file, tmp_path):
    folder = tmp_path / "all"
    assert run("fit", "EASE", "--data", log_file, "--out", folder, "--test", 0)[0] == 0
    code, out, err = run("evaluate", folder, "--data", log_file)
    assert (code, out) == (2, "")
    assert "trained on all of these data" in err


def test_other_data_are_a_test_log_without_the_pairs_of_training(run, fitted, log_file, tmp_path):
    later = pl.read_csv(log_file).tail(200)
    later.write_csv(tmp_path / "later.csv")
    code, out, err = run("evaluate", fitted, "--data", tmp_path / "later.csv", "--json")
    assert code == 0, err
    assert 0 < json.loads(out)["targets"] < 200


def test_items_that_nobody_touched_are_measured_by_their_content(run, log_file, tmp_path):
    things = tmp_path / "items.csv"
    tw.testing.planted_log().frame("items").select("item", "title").write_csv(things)
    new = ("--unknown-items", "content", "--candidates", "new")
    given = ("--data", log_file, "--items", things, "--item-feature", "title=text")
    folder = tmp_path / "cold"
    code, out, err = run(
        "fit",
        "CTR",
        *given,
        "--out",
        folder,
        "--set",
        "factors=4",
        "--split",
        "cold_items",
        *new,
        "--json",
    )
    assert code == 0, err
    values = json.loads(out)["report"]["metrics"]
    assert values
    code, out, err = run("evaluate", folder, *new, "--metric", "ndcg@5", "--json")
    assert code == 0, err
    assert json.loads(out)["settings"]["candidates"] == "new"
    code, out, err = run(
        "compare",
        *given,
        "--model",
        "CTR",
        "--split",
        "cold_items",
        *new,
        "--metric",
        "ndcg@5",
        "--json",
    )
    assert code == 0, err
    code, _, err = run("evaluate", folder, "--unknown-items", "count")
    assert (code, err.count("\n")) == (2, 1)
    assert "unknown_items='content'" in err


def test_recommend_writes_what_python_answers(run, fitted, tmp_path):
    users = tmp_path / "users.csv"
    users.write_text("user\n100\n101\nnobody\n")
    for suffix, read in ((".parquet", pl.read_parquet), (".csv", pl.read_csv)):
        out = tmp_path / f"lists{suffix}"
        code, _, err = run("recommend", fitted, "--users", users, "--k", 3, "--out", out)
        assert code == 0, err
        expected = tw.load(fitted / "model").recommend(users=["100", "101", "nobody"], k=3)
        assert read(out)["item"].to_list() == expected["item"].to_list()
        assert read(out)["source"].to_list()[-1].startswith("fallback")


def test_ask_by_history_similar_and_explain(run, fitted):
    code, out, _ = run("recommend", fitted, "--history", "i0,i2", "--k", 2, "--json")
    assert code == 0
    assert [row["source"] for row in json.loads(out)] == ["fold-in", "fold-in"]
    code, out, _ = run("similar", fitted, "i0", "--k", 2, "--json")
    assert code == 0
    assert len(json.loads(out)) == 2
    code, out, _ = run("explain", fitted, "i0", "--user", 100, "--json")
    assert code == 0
    assert json.loads(out)[0]["kind"] == "history"


def test_compare_goes_on_where_it_stopped(run, job_file, tmp_path):
    folder = tmp_path / "board"
    code, out, err = run("compare", job_file, "--out", folder, "--json")
    assert code == 0, err
    first = json.loads(out)
    # As after an interruption: one model is done, the other is not.
    import shutil

    shutil.rmtree(folder / "results" / "ials")
    kept = (folder / "results" / "Popularity" / "manifest.json").stat().st_mtime_ns
    code, out, err = run("compare", job_file, "--out", folder, "--json")
    assert code == 0, err
    assert "going on: Popularity" in err
    assert (folder / "results" / "Popularity" / "manifest.json").stat().st_mtime_ns == kept
    again = json.loads(out)
    for name in ("ials", "Popularity"):
        values = [one["models"][name]["report"]["metrics"]["ndcg@5"] for one in (first, again)]
        assert values[0] == values[1]
    assert (folder / "report.html").exists()
    assert run("recommend", folder, "--user", 100, "--json")[0] == 0


def test_a_run_folder_is_not_given_to_another_job(run, job_file, tmp_path):
    folder = tmp_path / "board"
    assert run("compare", job_file, "--out", folder)[0] == 0
    job_file.write_text(JOB.replace("seed = 1", "seed = 2"))
    code, _, err = run("compare", job_file, "--out", folder)
    assert code == 2
    assert "another job" in err
    assert "seed" in err


def test_tune_looks_at_validation_and_ends_with_a_job(run, job_file, tmp_path):
    folder = tmp_path / "tuned"
    code, out, err = run("tune", job_file, "--trials", 2, "--out", folder, "--json")
    assert code == 0, err
    assert json.loads(out)["ials"]["factors"] == 4, "the job sets it"
    code, out, err = run("tune", job_file, "--trials", 4, "--out", folder)
    assert code == 0, err
    assert "4 settings tried" in err
    assert "not tuned" not in err
    job_file.write_text(f"{JOB}[models.EASE]\nreg = 100\n")
    code, _, err = run("tune", job_file, "--trials", 1, "--out", tmp_path / "other")
    assert code == 0, err
    assert "note: EASE: not tuned" in err
    assert run("compare", folder / "tuned.toml")[0] == 0


@pytest.mark.parametrize(
    ("command", "sentence"),
    [
        (["fit", "IALSS", "--data", "LOG", "--out", "OUT"], "did you mean 'IALS'"),
        (["fit", "IALS", "--data", "LOG", "--out", "OUT", "--set", "factor=3"], "'factors'"),
        (["fit", "IALS", "--data", "LOG", "--out", "OUT", "--set", "factors=-3"], "greater than"),
        (["fit", "IALS", "--data", "LOG", "--out", "OUT", "--set", "factors"], "name=value"),
        (["fit", "IALS", "--data", "ml-100kk", "--out", "OUT"], "did you mean 'ml-100k'"),
        (["fit", "IALS", "--data", "no/such.csv", "--out", "OUT"], "no/such.csv"),
        (["fit", "IALS", "--data", "LOG", "--out", "OUT", "--user", "itemm"], "itemm"),
        (["fit", "IALS", "--data", "LOG", "--out", "OUT", "--split", "temporale"], "'temporal'"),
        (["compare", "--data", "LOG", "--model", "IALS", "--metric", "ndgc@10"], "ndcg"),
        (["compare", "none.toml"], "none.toml"),
        (["recommend", "none"], "does not exist"),
        (["similar", "none", "i0"], "does not exist"),
        (["recommend", "none", "--out", "lists.xls"], ".parquet"),
    ],
)
def test_bad_input_is_one_sentence_and_exit_code_2(run, log_file, tmp_path, command, sentence):
    named = {"LOG": str(log_file), "OUT": str(tmp_path / "out")}
    code, out, err = run(*[named.get(one, one) for one in command])
    assert (code, out) == (2, "")
    assert sentence in err
    assert "Traceback" not in err
    assert not (tmp_path / "out" / "model").exists()


@pytest.mark.parametrize(
    ("change", "sentence"),
    [
        (('source = "ratings.csv"', 'sorce = "ratings.csv"'), "did you mean 'source'"),
        (("[split]", "[spilt]"), "did you mean 'split'"),
        (("test = 0.2", "tets = 0.2"), "did you mean 'test'"),
        (("factors = 4", "factor = 4"), "did you mean 'factors'"),
        (("factors = 4", 'factors = "many"'), "factors"),
        (('class = "IALS"', 'class = "IAL"'), "did you mean 'IALS'"),
        (("seed = 1", "seed = -1"), "seed"),
        (("seed = 1", "seed = "), "not a job"),
        (('"ndcg@5"', '"ndcg@0"'), "ndcg@0"),
        (("[models.ials]", '[models."../x"]'), "folder"),
    ],
)
def test_a_job_with_a_mistake_is_refused_before_anything_is_trained(
    run, job_file, tmp_path, change, sentence
):
    job_file.write_text(JOB.replace(*change))
    code, out, err = run("compare", job_file, "--out", tmp_path / "out")
    assert (code, out) == (2, "")
    assert sentence in err
    assert not (tmp_path / "out").exists()


def test_models_datasets_and_doctor_answer(run):
    code, out, _ = run("models", "--json")
    assert code == 0
    assert sorted(one["name"] for one in json.loads(out)) == sorted(tw.models.__all__)
    code, out, _ = run("models", "IALS")
    assert code == 0
    assert "unobserved_weight" in out
    code, out, _ = run("datasets", "--json")
    assert code == 0
    assert "ml-100k" in [one["name"] for one in json.loads(out)]
    code, out, _ = run("doctor", "--json")
    assert code == 0
    assert {row["state"] for row in json.loads(out)} <= {"ok", "", "hint"}


@pytest.mark.parametrize(
    "command", ["", "fit", "compare", "tune", "recommend", "demo", "evaluate", "experiment"]
)
def test_help_shows_an_example(command):
    ran = subprocess.run(
        [sys.executable, "-m", "twofold", *command.split(), "--help"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    assert "Example" in ran.stdout


def test_what_a_reader_warns_of_is_said_once(run, tmp_path):
    (tmp_path / "log.csv").write_text("user,item,rating\n" + "1,a,3\n2,b,\n3,b,1\n" * 9)
    code, _, err = run(
        "fit", "Popularity", "--data", tmp_path / "log.csv", "--out", tmp_path / "out", "--test", 0
    )
    assert code == 0, err
    said = [line for line in err.splitlines() if "left out" in line]
    assert said == ["note: 9 of 27 rows without a value were left out; fill them in to keep them"]
    assert "note: columns found by name or place: user = user, item = item, value = rating" in err


def test_a_refused_job_leaves_no_folder_and_the_corrected_one_may_have_it(run, log_file, tmp_path):
    folder = tmp_path / "out"
    wrong = ["fit", "FM", "--data", log_file, "--out", folder, "--set"]
    code, _, err = run(*wrong, 'features=["agee"]')
    assert code == 2
    assert "no feature column 'agee'" in err
    assert not folder.exists()
    right = '{"method": "mcmc", "burn_in": 1, "samples": 2}'
    assert run(*wrong, f"learner={right}")[0] == 0
    assert (folder / "model").is_dir()
    model = (folder / "model" / "manifest.json").read_bytes()
    code, _, err = run(*wrong, 'features=["agee"]')
    assert code == 2
    assert "another job" in err
    assert (folder / "model" / "manifest.json").read_bytes() == model


def test_a_part_that_is_told_by_a_word_is_answered_with_what_can_be_pasted(run, log_file, tmp_path):
    def fit(out, value):
        return run(
            "fit", "BPR", "--data", log_file, "--out", tmp_path / out,
            "--set", "epochs=1", "--set", f"negatives={value}",
        )  # fmt: skip

    code, _, err = fit("out", "popular")
    assert code == 2
    for at, one in enumerate(err.rpartition("write one of ")[2].strip().split(", ")):
        code, _, err = fit(f"out{at}", one)
        assert code == 0, err


def test_sessions_of_a_later_day_are_said_to_be_answered_by_popularity(run, tmp_path):
    rows = [f"{s},{(s + n) % 5},{s * 9000 + n}" for s in range(60) for n in range(4)]
    log = tmp_path / "clicks.csv"
    log.write_text("\n".join(["session_id,item_id,time", *rows]))
    asked = ("--data", log, "--model", "ItemKNN")
    code, _, err = run("compare", *asked)
    assert (code, "ItemKNN: 6 of 6 answers are popularity's" in err) == (0, True), err
    assert "popularity's" not in run("compare", *asked, "--ask", "each event")[2]
    err = run("fit", "ItemKNN", "--data", log, "--out", tmp_path / "run")[2]
    assert "note: 6 of 6 answers are popularity's" in err
    assert "--ask" in run("evaluate", tmp_path / "run")[2]


def test_notes_suggest_nothing_that_is_in_use(run, tmp_path):
    """Titles of one word each, by which no new item is like an old one."""
    random = np.random.default_rng(0)
    log, items = tmp_path / "log.csv", tmp_path / "items.csv"
    rows = [
        f"{u},{i},{u * 99 + n}" for u in range(60) for n, i in enumerate(random.permutation(30)[:9])
    ]
    log.write_text("\n".join(["user,item,time", *rows]))
    items.write_text("\n".join(["item,title", *(f"{i},word{i}" for i in range(30))]))
    job = tmp_path / "job.toml"
    job.write_text(
        f'metrics = ["ndcg@5"]\n[data]\nsource = "{log}"\nitems = "{items}"\nitem_features = {{ title = "text" }}\n'
        '[split]\nkind = "cold_items"\ntest = 0.2\n[evaluation]\nunknown_items = "content"\ncandidates = "new"\n'
        '[models.a]\nclass = "ItemKNN"\ncontent = ["title"]\n[models.b]\nclass = "ItemKNN"\ncontent = ["title"]\n'
    )
    code, _, err = run("compare", job)
    assert code == 0, err
    assert "as the model finds nothing in what people had by which it knows other items" in err
    assert "have the same value for every user: they gave the same lists" in err
    assert not any(one in err for one in ("--split cold_items", "repeats=keep", "each event"))


def test_evaluate_asks_as_the_run_did_and_lists_keep_what_its_split_kept(run, tmp_path):
    rows = [f"{u},{(u + n) % 6},{n * 86400 + u}" for u in range(20) for n in range(12)]
    log = tmp_path / "visits.csv"
    log.write_text("\n".join(["user,item,time", *rows]))
    how = ("--split", "last_trajectories", "--split-option", "gap=3600", "--ask", "each event")
    folder = tmp_path / "run"
    code, out, _ = run("fit", "PersonalFrequency", "--data", log, "--out", folder, *how)
    assert (code, "--keep-seen" in out, "(each event)" in out) == (0, True, True)
    fitted = json.loads(
        run("fit", "PersonalFrequency", "--data", log, "--out", folder, *how, "--json")[1]
    )
    again = json.loads(run("evaluate", folder, "--json")[1])
    assert again["metrics"] == fitted["report"]["metrics"]
    assert again["settings"]["ask"] == "each event"
    assert (
        "ask"
        not in json.loads(run("evaluate", folder, "--ask", "each user", "--json")[1])["settings"]
    )
