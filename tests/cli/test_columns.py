"""Everything that a job can say of the data can be said as options, too."""

import json

import numpy as np
import polars as pl
import pytest

from twofold import jobs, loading
from twofold.cli.options import LOG_OPTIONS
from twofold.hyperparameters import names
from twofold.plans import COLUMNS, DataPlan

N_USERS, N_ITEMS, DAY = 40, 12, 86_400


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    user, item = rng.integers(0, N_USERS, 800), rng.integers(0, N_ITEMS, 800)
    hour = 8 + 12 * (item % 2)
    time = 1_700_006_400 + DAY * np.sort(rng.integers(0, 100, 800)) + 3600 * hour
    pl.DataFrame({"who": user, "what": item, "when": time, "device": [f"d{one % 3}" for one in item]}).write_csv(tmp_path / "log.csv")  # fmt: skip
    pl.DataFrame({"who": range(N_USERS), "age": rng.integers(18, 80, N_USERS)}).write_csv(tmp_path / "who.csv")  # fmt: skip
    pl.DataFrame({"what": range(N_ITEMS), "place": [f"{40 + one / 10},-74" for one in range(N_ITEMS)]}).write_csv(tmp_path / "what.csv")  # fmt: skip
    pl.DataFrame({"a": [1, 2, 3], "b": [2, 3, 4]}).write_csv(tmp_path / "friends.csv")
    return tmp_path


def said(files):
    return [
        "--data", files / "log.csv", "--user", "who", "--item", "what", "--time", "when", "--value", "-",
        "--users", files / "who.csv", "--user-feature", "age=number", "--items", files / "what.csv",
        "--context", "device=category", "--links", files / "friends.csv",
    ]  # fmt: skip


def test_every_key_of_a_plan_has_an_option():
    assert set(LOG_OPTIONS) == set(names(DataPlan)) - {"name", "source"}
    assert set(COLUMNS) < set(LOG_OPTIONS)


def test_what_is_kept_of_the_log_is_said_as_options(run, tmp_path):
    log = {"u": [1, 1, 1, 2, 2, 3, 3, 3], "i": list("abcabcab"), "v": [0, 1, 2, -1, 1, 2, 2, 1]}
    pl.DataFrame(log).write_csv(tmp_path / "log.csv")
    columns = ("--data", tmp_path / "log.csv", "--user", "u", "--item", "i", "--value", "v")
    fit = ("fit", "Popularity", *columns, "--test", "0", "--out", tmp_path / "run")
    code, _, complaint = run(
        *fit, "--min-value", "0", "--min-user-events", "2", "--duplicates", "last"
    )
    assert code == 0, complaint
    assert loading.load(tmp_path / "run" / "model").users.ids.ids.to_list() == [1, 3]
    plan = json.loads((tmp_path / "run" / "job.json").read_text())["data"]
    assert (plan["min_value"], plan["min_user_events"], plan["duplicates"]) == (0.0, 2, "last")
    for option, value, said in (
        ("--min-value", "9", "min_value=9 leaves none of the 8 events"),
        ("--min-item-events", "0", "min_item_events got 0"),
        ("--duplicates", "sums", "did you mean 'sum'?"),
    ):
        code, _, complaint = run(*fit[:-1], tmp_path / "no", option, value)
        assert (code, said in complaint) == (2, True), complaint
    code, _, complaint = run("compare", "--data", "ml-100k", "--duplicates", "sum")
    assert (code, "leave out duplicates" in complaint) == (2, True)


def test_a_model_is_told_of_people_circumstances_and_hours(run, files):
    out = files / "run"
    code, shown, complaint = run(
        "fit", "ContextEmbedding", *said(files), "--moment", "hour", "--ahead", "60", "--out", out,
        "--set", 'contexts=["user","hour","device"]', "--set", "epochs=5", "--split", "last_trajectories",
        "--split-option", "gap=21600", "--test", "0.2", "--ask", "each event",
    )  # fmt: skip
    assert code == 0, complaint
    assert "questions with" in shown
    model = loading.load(out / "model")
    assert set(model.context_kinds) >= {"device", "hour"}
    assert model.users.features["age"].values.min() >= 18
    recorded = json.loads((out / "job.json").read_text())["split"]
    assert recorded == {"kind": "last_trajectories", "share": 0.2, "gap": 21600}


def test_the_answer_depends_on_the_hour_that_is_said(run, files):
    out = files / "run"
    code, _, complaint = run(
        "fit", "ContextEmbedding", *said(files), "--test", "0", "--out", out, "--moment", "hour",
        "--set", 'contexts=["user","hour"]', "--set", "factors=8",
    )  # fmt: skip
    assert code == 0, complaint
    for hour, odd in (("8", 0), ("20", 1)):
        _, shown, _ = run("recommend", out, "--user", "1", "--context", f"hour={hour}", "--k", "3", "--keep-seen", "--json")  # fmt: skip
        assert [one["item"] % 2 for one in json.loads(shown)] == [odd] * 3
    code, _, complaint = run("recommend", out, "--user", "1", "--context", "huor=8")
    assert code == 2
    assert "did you mean 'hour'" in complaint


def test_a_value_that_training_never_saw_is_told_and_one_that_cannot_be_is_refused(run, files):
    out = files / "run"
    code, _, complaint = run(
        "fit", "FM", *said(files), "--test", "0", "--out", out, "--moment", "hour",
        "--set", "factors=2", "--set", "learner={method='als',epochs=3}",
    )  # fmt: skip
    assert code == 0, complaint
    ask = ("recommend", out, "--user", "1", "--user", "2", "--k", "2", "--json")
    _, plain, complaint = run(*ask)
    assert complaint == ""
    code, shown, complaint = run(*ask, "--context", "device=d9", "--context", "hour=4")
    assert code == 0
    lines = complaint.splitlines()
    assert len(lines) == 2
    assert "context column 'device' got 'd9', 2 times" in lines[0]
    assert "'hour' got '4'" in lines[1]
    assert "known: 8, 20" in lines[1]
    rows = json.loads(shown)
    assert all(one.pop("notes") == [line.removeprefix("note: ") for line in lines] for one in rows)
    assert rows == json.loads(plain)
    code, shown, _ = run(*ask, "--context", "device=d9", "--out", files / "lists.csv")
    assert json.loads(shown)["notes"] == [lines[0].removeprefix("note: ")]
    code, shown, complaint = run(*ask, "--context", "hour=26")
    assert (code, shown) == (2, "")
    assert (
        complaint
        == "error: context column 'hour' got '26', which it can never be; allowed: 0 ... 23\n"
    )


def test_regions_come_from_places(files):
    plan = DataPlan.of(
        str(files / "log.csv"), user="who", item="what", time="when",
        items=str(files / "what.csv"), item_features={"place": "place"}, region_km=20,
    )  # fmt: skip
    assert 1 < len(plan.read().items.features["region"].levels) < N_ITEMS


@pytest.mark.parametrize(
    ("more", "sentence"),
    [
        (["--user-feature", "age"], "--user-feature takes name=kind, for example age=number"),
        (["--context", "device=colour"], "device"),
        (["--moment", "minute"], "hour"),
        (["--ahead", "60"], "ahead goes with moments"),
        (["--moment", "hour", "--ahead", "nowhere"], "nowhere"),
        (["--region-km", "2"], "place"),
        (["--region-km", "-2"], "region_km"),
        (["--split", "last_basket", "--split-option", "gap=3"], "last_basket has no argument 'gap'"),
        (["--split", "last_basket", "--test", "0.2"], "takes no share"),
        (["--split-option", "gap"], "--split-option takes name=value"),
        (["--ask", "each day"], "ask"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_told_in_one_sentence(run, files, more, sentence):
    given = [one for one in said(files) if "--context" not in more or one not in ("--context", "device=category")]  # fmt: skip
    given = [*given, *more]
    code, _, complaint = run("fit", "Popularity", *given, "--out", files / "run")
    assert code == 2
    assert sentence in complaint
    assert complaint.strip().splitlines()[-1].startswith("error: ")
    assert not (files / "run").exists()


def test_a_job_says_the_same(files):
    plan = {
        "source": str(files / "log.csv"), "user": "who", "item": "what", "time": "when",
        "moments": ["hour"], "ahead": 60,
    }  # fmt: skip
    job = jobs.from_dict({"data": plan, "models": {"Popularity": {}}})
    read = job.data.read()
    assert set(read.frame()["hour"]) == {"9", "21"}
    assert len(read.links) == 0
    assert jobs.from_dict(job.as_dict() | {"metrics": ["ndcg@10"]}).data == job.data


def test_measuring_on_circumstances_that_were_never_learned_is_noted(run, files):
    code, _, complaint = run(
        "fit", "FM", *said(files), "--out", files / "run", "--test", "0",
        "--set", "factors=2", "--set", "learner={method='als',epochs=3}",
    )  # fmt: skip
    assert code == 0, complaint
    later = pl.read_csv(files / "log.csv").with_columns(
        pl.col("when") + 200 * DAY, pl.col("what").reverse(), device=pl.col("device").str.slice(1)
    )
    later.write_csv(files / "later.csv")
    ask = ("evaluate", files / "run", "--data", files / "later.csv", "--ask", "each event")
    code, _, complaint = run(*ask)
    assert code == 0, complaint
    assert "the model reads the context column 'device', which the test part does not have" in complaint  # fmt: skip
    assert "(on the command line --context device=category)" in complaint
    code, _, complaint = run(*ask, "--context", "device=category")
    assert code == 0, complaint
    assert complaint.count("context column 'device' of the test part got ") == 1
    assert "which the model never learned" in complaint
    assert "known: d0, d1, d2" in complaint


def test_a_comparison_tells_circumstances_that_a_model_never_learned(run, tmp_path):
    rows = [f"{at % 20},i{at // 20 % 30},{1_000_000 + 600 * at},{'abc'[at % 3] if at < 520 else 'xyz'[at % 3]}" for at in range(600)]  # fmt: skip
    (tmp_path / "log.csv").write_text("\n".join(["user,item,time,device", *rows]))
    code, _, err = run(
        "compare", "--data", tmp_path / "log.csv", "--context", "device=category", "--model", "ContextEmbedding", "--model", "EASE",
        "--split", "temporal", "--split-option", "repeats=keep", "--ask", "each event", "--metric", "ndcg@10",
    )  # fmt: skip
    assert code == 0, err
    told = [line for line in err.splitlines() if "'device' of the test part" in line]
    assert len(told) == 1
    assert told[0].startswith("note: ContextEmbedding: ")
