"""What the benchmarks share."""

import importlib.util
import subprocess
import sys
from pathlib import Path

import pytest

BESIDE = Path(__file__).parents[2] / "benchmarks" / "beside.py"


def test_settings_are_read_as_the_command_line_reads_them(monkeypatch):
    spec = importlib.util.spec_from_file_location("beside", BESIDE)
    beside = importlib.util.module_from_spec(spec)
    monkeypatch.setitem(sys.modules, "beside", beside)
    spec.loader.exec_module(beside)
    given = "learning_rate=1e-3,epochs=20,decay=true,reg=0.5,start=lda"
    monkeypatch.setattr(sys, "argv", ["benchmark", "--set", given])
    found = beside.settings()
    assert found == {
        "learning_rate": 0.001,
        "epochs": 20,
        "decay": True,
        "reg": 0.5,
        "start": "lda",
    }
    assert isinstance(found["epochs"], int)


@pytest.mark.parametrize(
    ("asked", "code", "said"),
    [
        (["--help"], 0, "--validation"),
        (["--valdation"], 1, "did you mean '--validation'"),
    ],
)
def test_a_benchmark_says_what_it_takes_and_refuses_the_rest(asked, code, said):
    """A misspelt option was passed over, and the test part measured in place of the validation part."""
    script = BESIDE.parent / "quality" / "dssm.py"
    ran = subprocess.run(
        [sys.executable, script, *asked], capture_output=True, text=True, check=False
    )
    assert ran.returncode == code, ran.stderr
    assert said in ran.stdout + ran.stderr
