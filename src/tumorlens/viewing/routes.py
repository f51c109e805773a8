"""What the viewer's page asks for: thin answers from `serving`. The door of Starlette."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

from tumorlens.design.tokens import read_css
from tumorlens.errors import TumorlensError
from tumorlens.finding import RESEARCH_USE
from tumorlens.optional import installed_extras, load
from tumorlens.serving.deposits import DEFAULT_UPLOAD, Deposit, UploadLimits
from tumorlens.serving.jobs import Job, Jobs
from tumorlens.serving.judging import Judgement
from tumorlens.serving.outcomes import (
    REPORT_POLICY,
    describe_judgement,
    describe_model,
    draw_slice,
    draw_small,
    render_card,
    render_report,
    to_lines,
    write_evidence,
)
from tumorlens.serving.scenes import Scene
from tumorlens.version import __version__
from tumorlens.viewing.examples import find_examples
from tumorlens.viewing.packing import pack_objects

__all__ = ["Desk", "build_app"]

PAGE = Path(__file__).with_name("page")


@dataclass(slots=True)
class Desk:
    """What the answers are made from.

    Attributes:
        jobs: what is judged, or was.
        limits: for what the page hands in.
        deposits: that are being filled, by their names.
    """

    jobs: Jobs
    limits: UploadLimits = DEFAULT_UPLOAD
    deposits: dict[str, Deposit] = field(default_factory=dict)

    def close(self) -> None:
        """Remove everything that was handed in, and all that was made of it."""
        self.jobs.close()
        for deposit in self.deposits.values():
            deposit.close()


class _Unknown(TumorlensError):
    """Nothing is known by this name."""


def build_app(desk: Desk, token: str) -> Any:
    """The viewer as an ASGI application; a `Guard` belongs around it."""
    applications, routing = load("starlette.applications", "view"), load("starlette.routing")
    static = load("starlette.staticfiles")
    answers = _Answers(desk)
    job, scene = "/api/jobs/{job}", "/api/jobs/{job}/scenes/{scene:int}"
    listed: list[tuple[str, str, Callable[..., Any]]] = [
        ("GET", "/api/state", answers.tell_state),
        ("POST", "/api/uploads", answers.open_deposit),
        ("POST", "/api/uploads/{deposit}/files", answers.take_file),
        ("POST", "/api/uploads/{deposit}/judge", answers.judge_deposit),
        ("POST", "/api/examples", answers.judge_examples),
        ("GET", job, answers.tell_job),
        ("DELETE", job, answers.delete_job),
        ("GET", f"{job}/result", answers.tell_result),
        ("GET", f"{job}/records.jsonl", answers.send_records),
        ("GET", f"{job}/report.html", answers.send_report),
        ("GET", f"{job}/dicom.zip", answers.send_dicom),
        ("GET", f"{scene}/{{name}}.nii", answers.send_volume),
        ("GET", f"{scene}/small.jpg", answers.send_small),
        ("GET", f"{scene}/slices/{{number:int}}.png", answers.send_slice),
        ("GET", f"{scene}/evidence.nii.gz", answers.send_evidence),
        ("GET", "/card.html", answers.send_card),
        ("GET", "/tokens.css", answers.send_tokens),
    ]
    routes = [
        routing.Route(path, _tell_errors(answer), methods=[method])
        for method, path, answer in listed
    ]
    page = routing.Mount("/", static.StaticFiles(directory=PAGE, html=True))
    return applications.Starlette(routes=[routing.Mount(f"/{token}", routes=[*routes, page])])


def _tell_errors(answer: Callable[..., Any]) -> Callable[..., Any]:
    """What goes wrong becomes an answer in JSON."""
    responses = load("starlette.responses")

    async def respond(request: Any) -> Any:
        try:
            return await answer(request)
        except _Unknown as error:
            return responses.JSONResponse({"error": str(error)}, 404)
        except TumorlensError as error:
            return responses.JSONResponse({"error": str(error)}, 422)

    return respond


class _Answers:
    """One method a route. Work that takes long is done in a thread."""

    def __init__(self, desk: Desk) -> None:
        self._desk = desk
        self._responses = load("starlette.responses")

    async def tell_state(self, _: Any) -> Any:
        desk = self._desk
        return self._json(
            {
                "version": __version__,
                "research_use": RESEARCH_USE,
                "model": describe_model(desk.jobs.detector),
                "extras": {"dicom": installed_extras()["dicom"]},
                "examples": len(find_examples()),
                "jobs": [_describe_job(job) for job in desk.jobs],
            }
        )

    async def open_deposit(self, _: Any) -> Any:
        deposit = await asyncio.to_thread(Deposit, self._desk.limits)
        key = deposit.folder.name
        self._desk.deposits[key] = deposit
        return self._json({"upload": key}, 201)

    async def take_file(self, request: Any) -> Any:
        """The body is the file; its name stands in the query."""
        deposit = self._find_deposit(request)
        intake = await asyncio.to_thread(deposit.open, request.query_params.get("name", ""))
        with intake:
            async for chunk in request.stream():
                await asyncio.to_thread(intake.write, chunk)
        return self._json({"files": len(deposit.names)}, 201)

    async def judge_deposit(self, request: Any) -> Any:
        deposit = self._find_deposit(request)
        self._desk.deposits.pop(deposit.folder.name)
        job = self._desk.jobs.start(
            (str(deposit.files),), title=_name_files(deposit.names), below=deposit.files,
            at_end=deposit.close,
        )  # fmt: skip
        return self._json(_describe_job(job), 201)

    async def judge_examples(self, _: Any) -> Any:
        files = find_examples()
        if not files:
            raise _Unknown("this installation has no examples")
        job = self._desk.jobs.start(
            tuple(map(str, files)), title="Examples: the lesions are painted",
            below=files[0].parent,
        )  # fmt: skip
        return self._json(_describe_job(job), 201)

    async def tell_job(self, request: Any) -> Any:
        return self._json(_describe_job(self._find_job(request)))

    async def delete_job(self, request: Any) -> Any:
        self._desk.jobs.delete(request.path_params["job"])
        return self._responses.Response(status_code=204)

    async def tell_result(self, request: Any) -> Any:
        judgement = self._find_judgement(request)
        return self._json(await asyncio.to_thread(describe_judgement, judgement))

    async def send_records(self, request: Any) -> Any:
        text = to_lines(self._find_judgement(request).records)
        return self._send(text.encode(), "application/x-ndjson", "tumorlens.jsonl")

    async def send_report(self, request: Any) -> Any:
        judgement = self._find_judgement(request)
        session = self._desk.jobs.detector.session
        page = await asyncio.to_thread(render_report, judgement, judgement.studies, session)
        name = "tumorlens-report.html" if "download" in request.query_params else ""
        return self._send(page.encode(), "text/html; charset=utf-8", name)

    async def send_dicom(self, request: Any) -> Any:
        job = self._find_job(request)
        data = await asyncio.to_thread(pack_objects, job.paths, self._desk.jobs.detector)
        return self._send(data, "application/zip", "tumorlens-dicom.zip")

    async def send_card(self, _: Any) -> Any:
        page = await asyncio.to_thread(render_card, self._desk.jobs.detector.session)
        return self._send(page.encode(), "text/html; charset=utf-8")

    async def send_tokens(self, _: Any) -> Any:
        return self._send(read_css().encode(), "text/css; charset=utf-8")

    async def send_volume(self, request: Any) -> Any:
        scene, name = self._find_scene(request), request.path_params["name"]
        paths = {"scan": scene.scan, "heat": scene.heat}
        if name not in paths:
            raise _Unknown(f"no volume {name!r}")
        return self._responses.FileResponse(paths[name], media_type="application/octet-stream")

    async def send_small(self, request: Any) -> Any:
        side = 768 if "large" in request.query_params else 128
        picture = await asyncio.to_thread(draw_small, self._find_scene(request), side)
        return self._send(picture, "image/jpeg")

    async def send_slice(self, request: Any) -> Any:
        scene, number = self._find_scene(request), request.path_params["number"]
        if number >= len(scene.findings):
            raise _Unknown(f"no slice {number}")
        picture = await asyncio.to_thread(draw_slice, scene, number)
        return self._send(picture, "image/png", f"tumorlens-slice-{number + 1}.png")

    async def send_evidence(self, request: Any) -> Any:
        scene = self._find_scene(request)
        path = await asyncio.to_thread(write_evidence, scene, scene.folder)
        return self._responses.FileResponse(path, media_type="application/gzip", filename=path.name)

    def _find_deposit(self, request: Any) -> Deposit:
        deposit = self._desk.deposits.get(request.path_params["deposit"])
        if deposit is None:
            raise _Unknown("this upload has ended, or never began")
        return deposit

    def _find_job(self, request: Any) -> Job:
        job = self._desk.jobs.find(request.path_params["job"])
        if job is None:
            raise _Unknown("this result is not kept any more")
        return job

    def _find_judgement(self, request: Any) -> Judgement:
        judgement = self._find_job(request).judgement
        if judgement is None:
            raise _Unknown("there is no result yet")
        return judgement

    def _find_scene(self, request: Any) -> Scene:
        scenes = self._find_judgement(request).scenes
        number: int = request.path_params["scene"]
        if number >= len(scenes):
            raise _Unknown(f"no series {number}")
        return scenes[number]

    def _json(self, value: Any, status: int = 200) -> Any:
        return self._responses.JSONResponse(value, status)

    def _send(self, data: bytes, media: str, name: str = "") -> Any:
        """Bytes; under a name they are saved, not shown."""
        headers = {"content-security-policy": REPORT_POLICY} if "html" in media else {}
        if name:
            headers["content-disposition"] = f"attachment; filename*=utf-8''{quote(name)}"
        return self._responses.Response(data, media_type=media, headers=headers)


def _describe_job(job: Job) -> dict[str, Any]:
    return {
        "key": job.key,
        "title": job.title,
        "state": job.state,
        "files": job.heard.files,
        "slices": job.heard.slices,
        "notices": job.notices,
        "error": job.error,
    }


def _name_files(names: list[str]) -> str:
    """What people call some files: the folder or the file that they handed in."""
    tops = list(dict.fromkeys(name.partition("/")[0] for name in names))
    return tops[0] if len(tops) == 1 else f"{len(tops)} files and folders"
