"""What is printed: whole when it is piped, made to fit on a terminal, JSON that every reader takes."""

import json
import sys

import polars as pl
import pytest

import twofold as tw
from twofold.cli import output
from twofold.progress import track
from twofold.testing import planted_log

FRAME = pl.DataFrame(
    {
        "name": ["a", "b"],
        "value": [1.5, 0.00012],
        "meaning": ["some words that are wider than a narrow terminal is", None],
    }
)


@pytest.fixture(scope="module")
def board():
    split = tw.split.last_fraction(planted_log())
    models = {"ease": tw.models.EASE(), "popularity": tw.models.Popularity()}
    return tw.compare(models, split, ["ndcg@10", "recall@10", "coverage@10", "novelty@10"])


@pytest.fixture
def terminal(monkeypatch):
    def of(columns):
        monkeypatch.setattr(output, "width", lambda: columns)

    return of


def test_a_piped_table_is_whole(terminal):
    terminal(None)
    assert output.table(FRAME).splitlines() == [
        "name    value  meaning",
        "-" * 66,
        "a      1.5000  some words that are wider than a narrow terminal is",
        "b     0.00012",
    ]


@pytest.mark.parametrize("columns", [60, 50, 40, 30])
def test_a_table_fits_the_terminal_and_loses_no_word(terminal, columns):
    terminal(columns)
    shown = output.table(FRAME)
    assert max(map(len, shown.splitlines())) <= columns
    assert set(FRAME["meaning"][0].split()) <= set(shown.split())
    assert "0.00012" in shown


@pytest.mark.parametrize("columns", [40, 60, 80, 120, 200])
def test_a_leaderboard_fits_the_terminal_and_loses_no_number(board, columns):
    shown = output.leaderboard(board, columns)
    assert max(map(len, shown.splitlines())) <= max(columns, 40)
    for name, one in board.results.items():
        assert name in shown
        for metric, value in one.report.values.items():
            assert metric in shown
            assert f"{value:.4f}" in shown
    assert board.verdict("popularity", "ndcg@10").split()[0] in shown


def test_a_piped_leaderboard_is_the_librarys(board):
    assert output.leaderboard(board, None) == str(board)
    assert output.leaderboard(board, 500).splitlines()[0] == str(board).splitlines()[0]


def test_the_width_is_the_terminals(monkeypatch):
    assert output.width() is None
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    monkeypatch.setenv("COLUMNS", "72")
    assert output.width() == 72


def test_json_has_no_numbers_that_json_has_not(capsys):
    output.say_json({"a": [float("nan"), (1.5, float("inf"))], "b": "x"})
    assert json.loads(capsys.readouterr().out) == {"a": [None, [1.5, None]], "b": "x"}


def test_a_bar_is_drawn_on_a_terminal_only(monkeypatch, capsys):
    assert list(track([1, 2], "working")) == [1, 2]
    assert capsys.readouterr().err == ""
    monkeypatch.setattr(sys.stderr, "isatty", lambda: True)
    monkeypatch.setenv("NO_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    assert list(track(iter([1, 2]), "working", total=2)) == [1, 2]
    assert list(track((one for one in [1]), "counting")) == [1]
    assert "working" in capsys.readouterr().err
