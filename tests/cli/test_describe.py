"""``twofold describe``: the facts, what was odd, and a next command that runs."""

import json
import shlex

import polars as pl
import pytest

from twofold.cli.describe import next_command
from twofold.testing import planted_log

DAY = 86_400


@pytest.fixture
def places(tmp_path):
    """A log in which people come back to the same two places."""
    rows = [(f"u{u}", f"p{(u + at % 2) % 6}", 1_700_000_000 + at * DAY + u) for u in range(8) for at in range(10)]  # fmt: skip
    path = tmp_path / "my visits.csv"
    pl.DataFrame(rows, orient="row", schema=["who", "where", "at"]).write_csv(path)
    return path


def test_the_facts_of_a_log(run, log_file):
    code, out, err = run("describe", "--data", log_file)
    assert code == 0, err
    facts = json.loads(run("describe", "--data", log_file, "--json")[1])["facts"]
    assert all(one in out for one in facts.values())
    assert f"next: twofold compare --data {log_file}\n" in out


def test_where_people_come_back_the_next_command_counts_that(run, places, tmp_path):
    columns = ["--user", "who", "--item", "where", "--time", "at"]
    code, out, err = run("describe", "--data", places, *columns)
    assert code == 0, err
    words = shlex.split(out.split("next: twofold ")[1])
    assert "repeats=keep" in words
    code, said, err = run(*words, "--out", tmp_path / "run")
    assert code == 0, err
    assert "PersonalFrequency" in said


def test_what_was_odd_is_in_the_json_and_a_missing_file_is_named(run, tmp_path):
    path = tmp_path / "log.csv"
    path.write_text("user,item\n1,a\n1,b\n,c\n")
    code, out, err = run("describe", "--data", path, "--json")
    assert code == 0
    assert any("without a user" in one for one in json.loads(out)["notes"])
    assert "without a user" in err
    assert run("describe", "--data", tmp_path / "nope.csv")[0] == 2


def test_a_password_is_not_printed(tmp_path):
    url = "postgresql://me:secret@host/shop"
    assert "secret" not in next_command(planted_log(), url, {"query": "select * from log"})
