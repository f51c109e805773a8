"""What a service answers: thin routes over a `Desk`. The door of FastAPI."""

from __future__ import annotations

import asyncio
import inspect
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any
from urllib.parse import quote

from tumorlens.errors import TumorlensError
from tumorlens.finding import RESEARCH_USE
from tumorlens.integration.service.desk import Desk, check_read
from tumorlens.integration.service.model_metadata import describe_model, describe_server
from tumorlens.integration.service.openapi import describe_service, list_routes
from tumorlens.integration.service.problems import PROBLEM_JSON, Problem, explain
from tumorlens.integration.service.receiving import receive
from tumorlens.optional import load
from tumorlens.serving.deposits import Deposit
from tumorlens.serving.jobs import Job
from tumorlens.serving.judging import Judgement
from tumorlens.serving.outcomes import (
    REPORT_POLICY,
    draw_slice,
    render_report,
    to_lines,
    write_evidence,
)
from tumorlens.serving.scenes import Scene
from tumorlens.version import __version__

__all__ = ["build_app"]

LINES = "application/x-ndjson"
WHAT = "Says whether an MRI of the brain shows a tumor, where, and how far to trust the answer."


def build_app(desk: Desk) -> Any:
    """The service as an ASGI application; an `Entrance` belongs around it."""
    fastapi = load("fastapi", "serve")
    app = fastapi.FastAPI(
        title="tumorlens", version=__version__, description=f"{WHAT} {RESEARCH_USE}",
        openapi_url=None, docs_url=None, redoc_url=None,  # their pages load from other servers
        redirect_slashes=False,
    )  # fmt: skip
    answers = _Answers(desk)
    for route in list_routes():
        endpoint = _make_endpoint(getattr(answers, route.answer))
        app.add_api_route(route.path, endpoint, response_model=None, **route.describe())
    answers.schema = describe_service(app.openapi())
    app.add_exception_handler(load("fastapi.exceptions").RequestValidationError, _tell_no_number)
    for status in (404, 405):
        app.add_exception_handler(status, _tell_unknown)
    return app


def _make_endpoint(answer: Callable[..., Any]) -> Callable[..., Any]:
    """An endpoint whose errors become problems, with the types that FastAPI looks for."""
    signature = inspect.signature(answer, eval_str=True)
    kinds = {"request": load("fastapi").Request}

    @wraps(answer)
    async def respond(*args: Any, **kwargs: Any) -> Any:
        request = kwargs["request"]
        try:
            return await answer(*args, **kwargs)
        except TumorlensError as error:
            return _tell(explain(error), request)
        except FileNotFoundError:
            return _tell(Problem(404, "no such job any more; its result was just deleted"), request)
        except load("starlette.requests").ClientDisconnect:
            return _tell(Problem(400, "the body ends in the middle"), request)

    taken = [
        one.replace(annotation=kinds.get(one.name, one.annotation))
        for one in signature.parameters.values()
    ]
    respond.__signature__ = signature.replace(parameters=taken)  # type: ignore[attr-defined]
    del respond.__wrapped__
    return respond


def _tell(problem: Problem, request: Any) -> Any:
    return load("fastapi.responses").JSONResponse(
        problem.describe(request.url.path), problem.status, problem.headers, PROBLEM_JSON
    )


async def _tell_unknown(request: Any, error: Any) -> Any:
    headers: dict[str, str] = getattr(error, "headers", None) or {}
    words = "nothing is here; /openapi.json lists what is"
    if error.status_code == 405:
        words = f"{request.url.path} takes {headers['Allow']}, not {request.method}"
    return _tell(Problem(error.status_code, words, headers=headers), request)


async def _tell_no_number(request: Any, _: Any) -> Any:
    return _tell(Problem(404, "nothing is here; series and slices have numbers"), request)


@dataclass(slots=True)
class _Answers:
    """One method a route. Work that takes long is done in a thread."""

    desk: Desk
    schema: Mapping[str, Any] | None = None

    async def tell_service(self, request: Any) -> Any:
        return self._json(
            {
                **describe_server(),
                "model": self.desk.detector.name,
                "research_use": RESEARCH_USE,
                "openapi": "/openapi.json",
            }
        )

    async def tell_schema(self, request: Any) -> Any:
        return self._json(self.schema)

    async def predict(self, request: Any) -> Any:
        begin = time.monotonic()
        with self.desk.take_place() as place:
            deposit = await self._receive(request)
            left = self.desk.limits.seconds - (time.monotonic() - begin)
            judgement, notices = await self.desk.answer(deposit, place, left)
        if LINES in request.headers.get("accept", ""):
            return self._send(to_lines(judgement.records).encode(), LINES)
        return self._json(self._describe(judgement, notices))

    async def start_job(self, request: Any) -> Any:
        with self.desk.take_place():
            self.desk.check_room()
            deposit = await self._receive(request)
            try:
                job = self.desk.start_job(deposit)
            except BaseException:
                deposit.close()
                raise
        place = {"Location": f"/jobs/{job.key}"}
        return self._json(_describe_job(job, self.desk.limits.keep_seconds), 202, place)

    async def tell_job(self, request: Any, job: str) -> Any:
        return self._json(_describe_job(self.desk.find_job(job), self.desk.limits.keep_seconds))

    async def delete_job(self, request: Any, job: str) -> Any:
        self.desk.find_job(job)
        await asyncio.to_thread(self.desk.jobs.delete, job)
        return self._responses.Response(status_code=204)

    async def tell_result(self, request: Any, job: str) -> Any:
        found = self.desk.find_job(job)
        judgement = _find_judgement(found)
        check_read(judgement)
        scenes = [_link_scene(job, number, one) for number, one in enumerate(judgement.scenes)]
        return self._json({**self._describe(judgement, found.notices), "scenes": scenes})

    async def send_records(self, request: Any, job: str) -> Any:
        judgement = _find_judgement(self.desk.find_job(job))
        return self._send(to_lines(judgement.records).encode(), LINES)

    async def send_report(self, request: Any, job: str) -> Any:
        judgement = _find_judgement(self.desk.find_job(job))
        page = await self.desk.draw(
            render_report, judgement, judgement.studies, self.desk.detector.session
        )
        policy = {"content-security-policy": REPORT_POLICY}
        return self._send(page.encode(), "text/html; charset=utf-8", policy)

    async def send_slice(self, request: Any, job: str, scene: int, number: int) -> Any:
        found = self._find_scene(job, scene)
        if not 0 <= number < len(found.findings):
            raise Problem(404, f"no slice {number}; this series has {len(found.findings)}, from 0")
        return self._send(await self.desk.draw(draw_slice, found, number), "image/png")

    async def send_evidence(self, request: Any, job: str, scene: int) -> Any:
        found = self._find_scene(job, scene)
        path = await self.desk.draw(write_evidence, found, found.folder)
        named = {"content-disposition": f"attachment; filename*=utf-8''{quote(path.name)}"}
        return self._send(await asyncio.to_thread(path.read_bytes), "application/gzip", named)

    async def tell_live(self, request: Any) -> Any:
        return self._json({"live": True})

    async def tell_ready(self, request: Any) -> Any:
        return self._json({"ready": True})

    async def tell_server(self, request: Any) -> Any:
        return self._json(describe_server())

    async def tell_model(self, request: Any, name: str) -> Any:
        self._check_model(name)
        return self._json(describe_model(self.desk.detector))

    async def tell_model_ready(self, request: Any, name: str) -> Any:
        self._check_model(name)
        return self._json({"name": name, "ready": True})

    async def send_metrics(self, request: Any) -> Any:
        text, media = self.desk.counters.render()
        return self._send(text, media)

    async def _receive(self, request: Any) -> Deposit:
        """The files of a request.

        Raises:
            Problem: they are none, too many or too slow.
        """
        deposit = await asyncio.to_thread(self.desk.open_deposit)
        try:
            async with asyncio.timeout(self.desk.limits.seconds):
                await receive(request, deposit)
        except BaseException as error:
            await asyncio.to_thread(deposit.close)
            if isinstance(error, TimeoutError):
                raise Problem(
                    408, f"the body took longer than {self.desk.limits.seconds:g} seconds"
                ) from None
            raise
        return deposit

    def _describe(self, judgement: Judgement, notices: list[str]) -> dict[str, Any]:
        by_kind: dict[str, list[Any]] = {"study": [], "series": [], "slice": []}
        for record in judgement.records:
            by_kind[record["kind"]].append(record)
        return {
            "model": self.desk.detector.name,
            "operating_point": self.desk.detector.operating_point,
            "research_use": RESEARCH_USE,
            "studies": by_kind["study"],
            "series": by_kind["series"],
            "slices": by_kind["slice"],
            "skipped": dict(judgement.skipped),
            "notices": list(notices),
        }

    def _find_scene(self, job: str, number: int) -> Scene:
        scenes = _find_judgement(self.desk.find_job(job)).scenes
        if not 0 <= number < len(scenes):
            raise Problem(404, f"no series {number}; this job has {len(scenes)}, from 0")
        return scenes[number]

    def _check_model(self, name: str) -> None:
        if name != self.desk.detector.card.name:
            raise Problem(404, f"no such model; the model is {self.desk.detector.card.name}")

    @property
    def _responses(self) -> Any:
        return load("fastapi.responses")

    def _json(self, value: Any, status: int = 200, headers: Mapping[str, str] | None = None) -> Any:
        return self._responses.JSONResponse(value, status, headers)

    def _send(self, data: bytes, media: str, headers: Mapping[str, str] | None = None) -> Any:
        return self._responses.Response(data, media_type=media, headers=headers)


def _find_judgement(job: Job) -> Judgement:
    """What came of a job.

    Raises:
        Problem: nothing yet, or nothing at all.
    """
    if job.judgement is not None:
        return job.judgement
    if job.state in ("waiting", "judging"):
        raise Problem(409, "this job is not done yet; ask for the job until its state is done")
    raise Problem(422, _say_failure(job))


def _say_failure(job: Job) -> str:
    return job.error or "this job took longer than a job may, and was stopped"


def _describe_job(job: Job, keep_seconds: float) -> dict[str, Any]:
    begun, ended = job.begun, job.ended
    now = time.monotonic()
    seconds = None if begun is None else round((now if ended is None else ended) - begun, 3)
    left = None if ended is None else max(0, round(keep_seconds - (now - ended)))
    here = f"/jobs/{job.key}"
    done = job.judgement is not None
    return {
        "id": job.key,
        "state": job.state,
        "files": job.heard.files,
        "slices": job.heard.slices,
        "seconds": seconds,
        "deleted_in_seconds": left,
        "notices": list(job.notices),
        "error": _say_failure(job) if job.state in ("failed", "stopped") else None,
        "result": f"{here}/result" if done else None,
        "records": f"{here}/records.jsonl" if done else None,
        "report": f"{here}/report.html" if done else None,
    }


def _link_scene(job: str, number: int, scene: Scene) -> dict[str, Any]:
    """Where the pictures of a series are, or of a picture that belongs to none."""
    here = f"/jobs/{job}/scenes/{number}"
    return {
        "path": scene.info.path if scene.series is None else scene.series.path,
        "series_instance_uid": scene.info.series_instance_uid,
        "pictures": [f"{here}/slices/{place}.png" for place in range(len(scene.findings))],
        "evidence": None if scene.series is None else f"{here}/evidence.nii.gz",
    }
