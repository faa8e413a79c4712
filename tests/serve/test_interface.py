"""The description of the interface, held against the server by schemathesis: a bounded number of questions a route."""

from unittest import SkipTest

import pytest
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis.errors import Unsatisfiable
from tests_of_serving import listening

from twofold.serve.live import Live
from twofold.serve.settings import Settings

schemathesis = pytest.importorskip("schemathesis")
import requests  # noqa: E402
from schemathesis import GenerationMode  # noqa: E402
from schemathesis.config import GenerationConfig, SchemathesisConfig  # noqa: E402
from schemathesis.specs.openapi import checks  # noqa: E402

EXAMPLES = 30
"""Questions a route of either kind: such as are allowed, and such as are not."""
ROUTES = (
    "DELETE /items/{item}", "GET /experiments", "GET /experiments/{name}", "GET /health", "GET /items/{item}/similar",
    "GET /metrics", "GET /models", "GET /models/shadow", "GET /ready", "POST /events", "POST /explain", "POST /models",
    "POST /models/rollback", "POST /models/{version}/promote", "POST /recommend", "POST /recommend/batch",
    "PUT /items/{item}", "PUT /models/shadow",
)  # fmt: skip
ALLOWED = (200, 201, 404, 409)
OF_THE_MODEL = (
    "which is no item feature",
    "cannot place new ones by content",
    "does not read",
    "nothing is known of user",
    "lies in the future",
    "must hold integers or strings",
)
"""What speaks against a question that the description allows: what the model knows, or the clock."""
EXPERIMENT = """
[experiments.first]
start = 2020-01-01T00:00:00Z
metrics.clicks = { kind = "conversion", event = "click", window_hours = 24 }
[experiments.first.variants]
control = { weight = 1 }
treatment = { weight = 1, model = "1" }
"""


@pytest.fixture(scope="module")
def interface(models, tmp_path_factory):
    """The description of a server that runs an experiment."""
    folder = tmp_path_factory.mktemp("interface")
    (folder / "exp.toml").write_text(EXPERIMENT)
    told = Settings(
        state=str(folder / "state"), model=str(models / "good"), experiment=str(folder / "exp.toml")
    )
    live = Live.open(told)
    with listening(live) as port:
        # The description is made for the first who asks: longer than schemathesis waits where the machine is busy.
        requests.get(f"http://127.0.0.1:{port}/openapi.json", timeout=120).raise_for_status()
        config = SchemathesisConfig()
        config.projects.default.generation = GenerationConfig(deterministic=True, database="none")
        yield schemathesis.openapi.from_url(f"http://127.0.0.1:{port}/openapi.json", config=config)


def test_every_route_is_here(interface):
    found = [f"{one.ok().method.upper()} {one.ok().path}" for one in interface.get_all_operations()]
    assert sorted(found) == sorted(ROUTES)


@pytest.mark.parametrize("mode", list(GenerationMode), ids=lambda mode: mode.value)
@pytest.mark.parametrize("route", ROUTES)
def test_every_answer_is_as_described(interface, route, mode):
    """No fault, and status, kind and body of the description; what the description forbids is refused."""
    method, path = route.split()
    operation = interface[path][method]

    @given(case=operation.as_strategy(generation_mode=mode))
    @settings(
        max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), phases=[Phase.generate]
    )
    def ask(case):
        assume(not holds_whole_float(case.body))
        answer = case.call_and_validate(excluded_checks=[checks.positive_data_acceptance])
        assert answer.status_code < 500
        assert answer.headers["x-request-id"]
        if mode.is_positive and answer.status_code not in ALLOWED:
            assert any(one in answer.json()["error"]["message"] for one in OF_THE_MODEL), (
                answer.text
            )

    try:
        ask()
    except (Unsatisfiable, SkipTest):
        assert mode.is_negative
        assert "requestBody" not in operation.definition.raw


def holds_whole_float(body):
    """Say whether a body holds a number such as 3.0, which is an integer to JSON Schema and none to the server."""
    if isinstance(body, dict | list):
        return any(holds_whole_float(one) for one in (body.values() if isinstance(body, dict) else body))  # fmt: skip
    return isinstance(body, float) and body.is_integer()
