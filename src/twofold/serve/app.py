"""The application: which path does what. It only wires; what is done is in `twofold.serve.live`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import Any, TypeVar

import numba
import orjson
from fastapi import FastAPI, Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from twofold._version import __version__
from twofold.errors import TwofoldError, nearest
from twofold.serve import content, intake, openapi, page, swaps, watch
from twofold.serve.experiments import Declared, shown
from twofold.serve.failures import Refused, answer, of_validation, refusal
from twofold.serve.gate import Gate, body_of
from twofold.serve.keys import Keys
from twofold.serve.live import Live
from twofold.serve.schemas import (
    LONGEST_EVENTS,
    LONGEST_LIST,
    Batch,
    Event,
    Explanation,
    Item,
    Promotion,
    Question,
    Registration,
    Shadow,
)

log = logging.getLogger(__name__)
B = TypeVar("B", bound=BaseModel)
EVENTS = TypeAdapter(list[Event])
JSON = "application/json"


class Json(Response):
    """An answer as JSON."""

    media_type = JSON

    def render(self, content: Any) -> bytes:
        """Return the bytes; numbers that are not finite become null."""
        return orjson.dumps(content, option=orjson.OPT_SERIALIZE_NUMPY)


def create_app(live: Live, keys: Keys | None = None) -> FastAPI:
    """Return the application of an opened server.

    Example
    -------
    ``uvicorn.run(create_app(Live.open(Settings(state="state", model="runs/ials"))))``
    """
    settings = live.settings

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        del app
        numba.set_num_threads(
            1
        )  # of this thread: one question at a time gains nothing from several
        watching = asyncio.create_task(watch.watch(live))
        live.ready = True
        log.info("serving %s version %d", live.served.name, live.served.version)
        try:
            yield
        finally:
            live.ready = False
            watching.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await watching
            live.close()

    app = FastAPI(
        title="twofold", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Recommendations of a trained model, and the events that follow from them.",
    )  # fmt: skip
    app.add_middleware(Gate, settings=settings, keys=keys or Keys(), metrics=live.metrics)  # type: ignore[arg-type]

    async def read(request: Request, model: type[B]) -> B:
        body = await body_of(request.receive, settings)  # type: ignore[arg-type]
        try:
            return model.model_validate_json(body or b"{}")
        except ValidationError as error:
            raise of_validation(error, model) from error

    # ---- lists ------------------------------------------------------------------------------

    @app.post("/recommend", **openapi.of("Recommend items", Question, answer="List"))
    async def recommend(request: Request) -> Response:
        question = await read(request, Question)
        return Json(await live.recommend(question, request.scope["request_id"]))

    @app.post("/recommend/batch", **openapi.of("Recommend items to several people", Batch))
    async def recommend_batch(request: Request) -> Response:
        batch = await read(request, Batch)
        name = request.scope["request_id"]
        answers = await live.batch(batch.questions, name)
        return Json({"answers": answers, **live.about("batch", name)})

    @app.post("/explain", **openapi.of("Say why an item is scored as it is", Explanation))
    async def explain(request: Request) -> Response:
        body = await read(request, Explanation)
        reasons = await live.explain(body)
        return Json({"reasons": reasons, **live.about("model", request.scope["request_id"])})

    # ---- events -----------------------------------------------------------------------------

    @app.post("/events", **openapi.of("Keep one event, or a list of them", Event, many=True))
    async def events(request: Request) -> Response:
        body = await body_of(request.receive, settings)  # type: ignore[arg-type]
        try:
            if body.lstrip()[:1] == b"[":
                given = EVENTS.validate_json(body)
            else:
                given = [Event.model_validate_json(body or b"{}")]
        except ValidationError as error:
            raise of_validation(error, Event) from error
        if len(given) > LONGEST_EVENTS:
            raise Refused(
                413, "too_many_events", f"the request holds {len(given):,} events",
                f"send at most {LONGEST_EVENTS:,} at a time",
            )  # fmt: skip
        kept = await intake.take(live, given)
        return Json({**kept, **live.about("store", request.scope["request_id"])})

    # ---- items ------------------------------------------------------------------------------

    @app.get("/items/{item:path}/similar", **openapi.of("List the items most like an item"))
    async def similar(item: str, request: Request) -> Response:
        k = length(request)
        found = await live.similar(item, k)
        return Json({"items": found, **live.about("model", request.scope["request_id"])})

    @app.put("/items/{item:path}", **openapi.of("Add an item by what it is", Item))
    async def put_item(item: str, request: Request) -> Response:
        body = await read(request, Item)
        check_id(item)
        known = await content.put_item(live, item, body.features)
        source = "model" if known else "content"
        return Json(
            {"item": item, "known": known, **live.about(source, request.scope["request_id"])}
        )

    @app.delete("/items/{item:path}", **openapi.of("List an item no more"))
    async def withdraw(item: str, request: Request) -> Response:
        await content.withdraw(live, item)
        return Json(
            {"item": item, "withdrawn": True, **live.about("store", request.scope["request_id"])}
        )

    # ---- versions ---------------------------------------------------------------------------

    @app.get("/models", **openapi.of("List the versions and what was done to them"))
    async def models() -> Response:
        found = await live.wait(live.registry.read)
        versions = [
            {
                "version": one.version,
                "model": one.model,
                "path": one.path,
                "registered": one.registered,
                "live": one.version == live.served.version,
                "report": one.report,
            }
            for one in found.versions.values()
        ]
        shadow = None if live.shadow is None else live.shadow.served.version
        return Json(
            {
                "live": live.served.version,
                "shadow": shadow,
                "versions": versions,
                "changes": found.changes,
            }
        )

    @app.post("/models", status_code=201, **openapi.of("Register a model", Registration))
    async def register(request: Request) -> Response:
        body = await read(request, Registration)
        return Json({"version": await swaps.register(live, body.path)}, 201)

    @app.post("/models/{version:int}/promote", **openapi.of("Make a version live", Promotion))
    async def promote(version: int, request: Request) -> Response:
        body = await read(request, Promotion)
        return Json(await swaps.promote(live, version, force=body.force, note=body.note))

    @app.post("/models/rollback", **openapi.of("Go back to the version that was live before"))
    async def roll_back() -> Response:
        return Json(await swaps.roll_back(live))

    @app.get("/models/shadow", **openapi.of("Say where the shadow's lists differ"))
    async def shadow() -> Response:
        return Json({"shadow": None if live.shadow is None else live.shadow.report()})

    @app.put("/models/shadow", **openapi.of("Ask a version silently beside the live one", Shadow))
    async def set_shadow(request: Request) -> Response:
        body = await read(request, Shadow)
        await swaps.set_shadow(live, body.version, body.share)
        return Json({"shadow": body.version, "share": body.share})

    # ---- experiments ------------------------------------------------------------------------

    @app.get("/experiments", **openapi.of("List the running experiments"))
    async def experiments() -> Response:
        declared = live.assigner
        names = list(declared.experiments.slices) if isinstance(declared, Declared) else []
        return Json({"experiments": names})

    @app.get("/experiments/{name}", **openapi.of("Say what an experiment shows so far"))
    async def experiment(name: str) -> Response:
        declared = live.assigner
        if not isinstance(declared, Declared):
            raise Refused(
                404, "no_experiment", "no experiment runs", "start with --experiment FILE"
            )
        return Json(await live.wait(shown, live.store, declared.one(name)))

    # ---- operations -------------------------------------------------------------------------

    @app.get("/health", **openapi.of("Say that the process runs"))
    async def health() -> Response:
        return Json({"status": "ok"})

    @app.get("/ready", **openapi.of("Say whether questions are answered"))
    async def ready() -> Response:
        state = {
            "ready": live.ready,
            "model": live.served.name,
            "version": live.served.version,
            "store": "reachable" if live.store.reachable else "away",
        }
        return Json(state, 200 if live.ready else 503)

    @app.get("/metrics", **openapi.of("Numbers for Prometheus"))
    async def metrics() -> Response:
        return Response(live.metrics.text(), media_type="text/plain; version=0.0.4")

    page.mount(app, live)

    # ---- failures ---------------------------------------------------------------------------

    @app.exception_handler(TwofoldError)
    async def refused(request: Request, error: TwofoldError) -> Response:
        del request
        return answer(refusal(error))

    @app.exception_handler(HTTPException)
    async def no_route(request: Request, error: HTTPException) -> Response:
        if error.status_code == 404:
            near = nearest(request.url.path, paths)
            hint = f"did you mean {near}?" if near else "see /openapi.json"
            found = Refused(404, "no_such_path", f"there is no {request.url.path[:200]}", hint)
        else:
            found = Refused(
                error.status_code, "bad_method",
                f"{request.url.path[:200]} takes no {request.method}", "see /openapi.json",
                dict(error.headers or {}),
            )  # fmt: skip
        return answer(found)

    @app.exception_handler(Exception)
    async def fault(request: Request, error: Exception) -> Response:
        name = request.scope["request_id"]
        log.error(
            "a fault of twofold itself", exc_info=error, extra={"fields": {"request_id": name}}
        )
        hint = "please report it, with what the log has under this request id"
        return answer(
            Refused(500, "fault", "a fault of twofold itself", hint, {"x-request-id": name})
        )

    paths = [one.path for one in app.routes if hasattr(one, "path")]  # type: ignore[attr-defined]
    openapi.install(app)
    return app


def length(request: Request) -> int:
    """Return ``k`` of a query string.

    Raises
    ------
    Refused
        If it is no length, or something else is asked.
    """
    for name in request.query_params:
        if name != "k":
            raise Refused(422, "unknown_field", f"there is no parameter {name!r}", "allowed: k")
    text = request.query_params.get("k", "10")
    k = int(text) if text.isascii() and text.isdigit() and len(text) < 10 else 0
    if not 1 <= k <= LONGEST_LIST:
        raise Refused(422, "bad_request", f"k got {text[:50]!r}", f"give 1 to {LONGEST_LIST:,}")
    return k


def check_id(text: str) -> None:
    """Refuse an id that cannot be kept.

    Raises
    ------
    Refused
        If it is too long, or holds a character of value 0.
    """
    if not 1 <= len(text) <= 512 or "\x00" in text:
        raise Refused(
            422,
            "bad_request",
            f"an item id of {len(text):,} characters",
            "give 1 to 512, none of value 0",
        )
