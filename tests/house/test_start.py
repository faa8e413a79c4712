"""What starts a server loads what answers needs, and nothing else: its start is measured in seconds."""

import json
import subprocess
import sys

LATER = ("scipy.special", "scipy.stats", "sklearn", "torch", "jinja2", "twofold.evaluation", "twofold.split", "twofold.online.report", "twofold.jobs")  # fmt: skip
"""What reports, pages and other commands need."""


def test_a_server_starts_without_what_others_need():
    code = "import json, sys, twofold.cli.app, twofold.cli.serve, twofold.serve.run; print(json.dumps(list(sys.modules)))"
    found = json.loads(subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout)  # fmt: skip
    assert not {one for one in found if one in LATER}


def test_the_help_of_one_command_loads_no_other():
    code = (
        "import json, sys; from twofold.cli import main; main(['serve', '--help']);"
        "print(json.dumps([one for one in sys.modules if one.startswith('twofold.cli.')]))"
    )
    found = subprocess.run([sys.executable, "-c", code], capture_output=True, check=True).stdout
    assert set(json.loads(found.splitlines()[-1])) == {
        f"twofold.cli.{one}" for one in ("app", "files", "later", "output", "serve")
    }
