"""What the benchmarks share."""

import importlib.util
import sys
from pathlib import Path

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
