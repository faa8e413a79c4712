"""``twofold experiment plan`` and ``report``: from exported files to a verdict, and bad input."""

import json

import numpy as np
import polars as pl
import pytest

TOML = """
[experiments.ranker]
planned_units = 2000
metrics.ctr = { kind = "click_through" }
[experiments.ranker.variants]
control = {}
new = { model = "runs/ship" }
"""


@pytest.fixture
def files(tmp_path):
    rng = np.random.default_rng(0)
    which, unit = rng.integers(0, 2, 1500), np.arange(1500)
    time = pl.Series(unit * 120).cast(pl.Int64) * 1_000_000
    shown = pl.DataFrame({"unit": unit, "variant": np.array(["control", "new"])[which], "time": time.cast(pl.Datetime("us", "UTC")), "items": [["a", "b"]] * 1500})  # fmt: skip
    hit = rng.random(1500) < 0.1 + 0.1 * which
    done = pl.DataFrame({"unit": unit[hit], "kind": "click", "time": time.cast(pl.Datetime("us", "UTC")).filter(pl.Series(hit)), "item": "a"})  # fmt: skip
    shown.write_parquet(tmp_path / "shown.parquet")
    done.write_parquet(tmp_path / "done.parquet")
    shown.with_columns(pl.col("items").list.join("|")).write_csv(tmp_path / "shown.csv")
    done.write_csv(tmp_path / "done.csv")
    (tmp_path / "exp.toml").write_text(TOML)
    return tmp_path


def asked(files, kind="parquet", *more):
    return ["experiment", "report", files / "exp.toml", "--exposures", files / f"shown.{kind}", "--events", files / f"done.{kind}", *more]  # fmt: skip


def test_a_report_from_files(run, files):
    code, out, err = run(*asked(files, "parquet", "--out", files / "page" / "report.html"))
    assert code == 0, err
    assert "ctr, new against control: better" in out
    assert "no mismatch shown" in out
    assert "<svg" in (files / "page" / "report.html").read_text()
    code, told, err = run(*asked(files, "csv", "--json"))
    assert code == 0, err
    found = json.loads(told)
    assert found["comparisons"][0]["verdict"] == "better"
    assert found["headline"] in out


def test_an_interleaving_experiment_is_reported_too(run, files):
    (files / "exp.toml").write_text(TOML.replace("planned_units", 'method = "team_draft"\nplanned_units'))  # fmt: skip
    shown = pl.read_parquet(files / "shown.parquet")
    shown.with_columns(teams=pl.Series([[0, 1]] * len(shown))).write_parquet(
        files / "shown.parquet"
    )
    code, out, err = run(*asked(files))
    assert code == 0, err
    assert "control is preferred" in out  # item a is the control's, and all clicks are on it
    code, out, _ = run(*asked(files, "parquet", "--json"))
    assert json.loads(out)["preference"]["for_b"] == 0


def test_nothing_later_is_looked_at(run, files):
    _, early, _ = run(*asked(files, "parquet", "--json", "--until", "1970-01-01T12:00:00Z"))
    assert sum(json.loads(early)["units"].values()) == 361


def test_a_plan(run):
    code, out, err = run("experiment", "plan", "--baseline", 0.1, "--lift", 0.1, "--units-per-day", 2000)  # fmt: skip
    assert code == 0
    assert "29,498 units" in out
    assert "15 days" in out
    assert "planned_units = 29498" in err
    code, out, _ = run("experiment", "plan", "--baseline", 5, "--spread", 2, "--treatment-spread", 3, "--lift", 0.1, "--sequential", "--json")  # fmt: skip
    assert code == 0
    assert json.loads(out)["spread"] == [2.0, 3.0]


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"exp.toml": TOML.replace("metrics", "metric")}, "did you mean 'metrics'"),
        ({"exp.toml": TOML + TOML.replace("ranker", "other")}, "does not fit into layer"),
        ({"shown.csv": "unit,variant,when\nu,control,1970-01-01T00:00:00Z\nv,new,1970-01-01T00:00:00Z\n"}, "no column 'time'"),
        ({"shown.csv": "unit,variant,time\nu,control,1\nv,control,nan\n"}, "no time in 1 rows"),
        ({"done.csv": ""}, "done.csv"),
    ],
)  # fmt: skip
def test_bad_input_is_one_sentence_and_exit_code_2(run, files, change, said):
    for name, text in change.items():
        (files / name).write_text(text)
    code, out, err = run(*asked(files, "csv"))
    assert (code, out) == (2, "")
    assert said in err
    assert "Traceback" not in err


def test_bad_options_are_one_sentence_and_exit_code_2(run, files):
    for more, said in (
        (["--name", "rankr"], "did you mean 'ranker'"),
        (["--until", "soon"], "--until got 'soon'"),
    ):
        code, _, err = run(*asked(files, "parquet", *more))
        assert code == 2
        assert said in err
    for more, said in (
        (["--baseline", 3, "--lift", 0.1], "standard deviation"),
        (["--baseline", 0.1, "--lift", 0.1, "--treatment-share", 1], "--treatment-share"),
        (["--baseline", 0.1, "--lift", 0.1, "--treatment-spread", 1], "--spread"),
        (["--lift", 0.1], "--baseline"),
    ):
        code, _, err = run("experiment", "plan", *more)
        assert code == 2
        assert said in err


def test_the_experiment_of_several_must_be_named(run, files):
    half = TOML.replace("planned_units", "share = 0.5\nplanned_units")
    (files / "exp.toml").write_text(half + half.replace("ranker", "other"))
    code, _, err = run(*asked(files))
    assert code == 2
    assert "say which with --name" in err
    assert run(*asked(files, "parquet", "--name", "ranker"))[0] == 0


def test_the_logs_are_named_once(run, files):
    code, _, err = run("experiment", "report", files / "exp.toml")
    assert code == 2
    assert "say where the logs are" in err
    code, _, err = run(*asked(files, "parquet", "--state", files))
    assert code == 2
    assert "not both" in err


def test_ids_with_commas_and_spaces_survive_as_json(files, run):
    shown = pl.read_parquet(files / "shown.parquet")
    lists = pl.Series(['["a, b", "c d"]'] * len(shown))
    shown.with_columns(items=lists).write_csv(files / "shown.csv")
    pl.read_parquet(files / "done.parquet").with_columns(item=pl.lit("a, b")).write_csv(files / "done.csv")  # fmt: skip
    code, out, err = run(*asked(files, "csv"))
    assert code == 0, err
    assert "ctr, new against control: better" in out


def test_help_has_an_example(run):
    for name in ("plan", "report", "estimate", "export"):
        code, out, _ = run("experiment", name, "--help")
        assert code == 0
        assert "Example" in out
