"""The application: which path does what. It only wires; what is done is in `twofold.serve.live`."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import AsyncGenerator
from typing import TYPE_CHECKING, Any, TypeVar

import numba
import orjson
from fastapi import FastAPI, Request
from pydantic import BaseModel, TypeAdapter, ValidationError
from starlette.exceptions import HTTPException
from starlette.responses import Response

from twofold._version import __version__
from twofold.errors import TwofoldError, nearest
from twofold.serve import content, indexing, intake, openapi, page, swaps
from twofold.serve.direct import Direct
from twofold.serve.failures import Refused, answer, of_validation, refusal
from twofold.serve.gate import Gate, body_of
from twofold.serve.growth import notes
from twofold.serve.keys import Keys
from twofold.serve.live import Live
from twofold.serve.parameters import check_id, length
from twofold.serve.schemas import (
    LONGEST_EVENTS,
    Batch,
    Event,
    Explanation,
    Item,
    Promotion,
    Question,
    Registration,
    Shadow,
)
from twofold.serve.watch import OF_CHANGES, OF_EVENTS, OF_ITEMS, Follower

if TYPE_CHECKING:
    from twofold.serve.together import Board

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


def create_app(live: Live, keys: Keys | None = None, board: Board | None = None) -> FastAPI:
    """Return the application of an opened server; workers of one server share a `board`.

    Example
    -------
    ``uvicorn.run(create_app(Live.open(Settings(state="state", model="runs/ials"))))``
    """
    settings = live.settings
    others, pages = Follower(live, board), page.Page(live)

    @contextlib.asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncGenerator[None]:
        del app
        # Of this thread: one question at a time gains nothing from several.
        numba.set_num_threads(1)
        beside = [
            asyncio.create_task(others.watch()),
            asyncio.create_task(indexing.improve(live)),
            asyncio.create_task(pages.load()),
        ]
        live.ready = True
        log.info("serving %s version %d", live.served.name, live.served.version)
        try:
            yield
        finally:
            live.ready = False
            for one in beside:
                one.cancel()
                with contextlib.suppress(asyncio.CancelledError):
                    await one
            live.close()

    app = FastAPI(
        title="twofold", version=__version__, lifespan=lifespan, docs_url=None, redoc_url=None,
        description="Recommendations of a trained model, and the events that follow from them.",
    )  # fmt: skip

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
        await others.fresh()
        return Json(await live.recommend(question, request.scope["request_id"]))

    @app.post(
        "/recommend/batch", **openapi.of("Recommend items to several people", Batch, answer="Lists")
    )
    async def recommend_batch(request: Request) -> Response:
        batch = await read(request, Batch)
        await others.fresh()
        name = request.scope["request_id"]
        answers = await live.batch(batch.questions, name)
        return Json({"answers": answers, **live.about("batch", name)})

    @app.post(
        "/explain",
        **openapi.of("Say why an item is scored as it is", Explanation, answer="Reasons"),
    )
    async def explain(request: Request) -> Response:
        body = await read(request, Explanation)
        await others.fresh()
        found = await live.explain(body)
        return Json({**found, **live.about(found["source"], request.scope["request_id"])})

    # ---- events -----------------------------------------------------------------------------

    @app.post(
        "/events",
        **openapi.of("Keep one event, or a list of them", Event, answer="Kept", many=True),
    )
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
        others.wrote(OF_EVENTS)
        return Json({**kept, **live.about("store", request.scope["request_id"])})

    # ---- items ------------------------------------------------------------------------------

    @app.get(
        "/items/{item:path}/similar",
        **openapi.of("List the items most like an item", answer="Similar", k=True),
    )
    async def similar(item: str, request: Request) -> Response:
        k = length(request)
        check_id(item)
        await others.fresh()
        found = await live.similar(item, k)
        items = [{"item": one, "score": score} for one, score in found.items]
        noted = {"notes": found.notes} if found.notes else {}
        return Json({"items": items, **noted, **live.about("model", request.scope["request_id"])})

    @app.put("/items/{item:path}", **openapi.of("Add an item by what it is", Item, answer="Added"))
    async def put_item(item: str, request: Request) -> Response:
        body = await read(request, Item)
        check_id(item)
        known, said = await content.put_item(live, item, body.features)
        others.wrote(OF_ITEMS)
        about = live.about("model" if known else "content", request.scope["request_id"])
        return Json({"item": item, "known": known, **({"notes": said} if said else {}), **about})

    @app.delete("/items/{item:path}", **openapi.of("List an item no more", answer="Withdrawn"))
    async def withdraw(item: str, request: Request) -> Response:
        check_id(item)
        await content.withdraw(live, item)
        others.wrote(OF_ITEMS)
        return Json(
            {"item": item, "withdrawn": True, **live.about("store", request.scope["request_id"])}
        )

    # ---- versions ---------------------------------------------------------------------------

    @app.get(
        "/models", **openapi.of("List the versions and what was done to them", answer="Models")
    )
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
        noted = {"notes": notes(list(live.served.left_out))} if live.served.left_out else {}
        return Json(
            {
                "live": live.served.version,
                "index": live.served.index_report(),
                "shadow": shadow,
                "versions": versions,
                "changes": found.changes,
                **noted,
            }
        )

    @app.post(
        "/models", **openapi.of("Register a model", Registration, answer="Registered", status=201)
    )
    async def register(request: Request) -> Response:
        body = await read(request, Registration)
        return Json({"version": await swaps.register(live, body.path)}, 201)

    @app.post(
        "/models/{version:int}/promote",
        **openapi.of("Make a version live", Promotion, answer="Promoted"),
    )
    async def promote(version: int, request: Request) -> Response:
        body = await read(request, Promotion)
        done = await swaps.promote(
            live, version, force=body.force, note=body.note, other_data=body.other_data
        )
        others.wrote(OF_CHANGES)
        return Json(done)

    @app.post(
        "/models/rollback",
        **openapi.of("Go back to the version that was live before", answer="Promoted"),
    )
    async def roll_back() -> Response:
        done = await swaps.roll_back(live)
        others.wrote(OF_CHANGES)
        return Json(done)

    @app.get(
        "/models/shadow", **openapi.of("Say where the shadow's lists differ", answer="Shadowed")
    )
    async def shadow() -> Response:
        return Json({"shadow": None if live.shadow is None else live.shadow.report()})

    @app.put(
        "/models/shadow",
        **openapi.of("Ask a version silently beside the live one", Shadow, answer="Shadowed"),
    )
    async def set_shadow(request: Request) -> Response:
        body = await read(request, Shadow)
        await swaps.set_shadow(live, body.version, body.share)
        others.wrote(OF_CHANGES)
        return Json({"shadow": body.version, "share": body.share})

    # ---- experiments ------------------------------------------------------------------------

    @app.get("/experiments", **openapi.of("List the running experiments", answer="Experiments"))
    async def experiments() -> Response:
        return Json({"experiments": list(live.assigner.running)})

    @app.get(
        "/experiments/{name}", **openapi.of("Say what an experiment shows so far", answer="Shown")
    )
    async def experiment(name: str) -> Response:
        # In a thread of its own: it may take seconds, and what waits for the disk shall not wait for it.
        return Json(await asyncio.to_thread(live.assigner.report, live.store, name))

    # ---- operations -------------------------------------------------------------------------

    @app.get("/health", **openapi.of("Say that the process runs", answer="Health"))
    async def health() -> Response:
        return Json({"status": "ok"})

    @app.get("/ready", **openapi.of("Say whether questions are answered", answer="Ready"))
    async def ready() -> Response:
        state = {
            "ready": live.ready,
            "model": live.served.name,
            "version": live.served.version,
            "store": "reachable" if live.store.reachable else "away",
        }
        return Json(state, 200 if live.ready else 503)

    @app.get("/metrics", **openapi.of("Numbers for Prometheus", answer="text"))
    async def metrics() -> Response:
        live.gauges()
        return Response(live.metrics.text(), media_type="text/plain; version=0.0.4")

    for path in page.PATHS:
        app.add_route(path, pages, include_in_schema=False)  # type: ignore[arg-type]

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

    often = {("POST", "/recommend"): recommend, ("POST", "/events"): events}
    app.add_middleware(Direct, handlers=often)  # type: ignore[arg-type]
    rates = None if board is None or not settings.rate else board.rates(settings.rate)
    app.add_middleware(
        Gate, settings=settings, keys=keys or Keys(), metrics=live.metrics, rates=rates
    )  # type: ignore[arg-type]
    paths = [one.path for one in app.routes if hasattr(one, "path")]  # type: ignore[attr-defined]
    openapi.install(app)
    return app
