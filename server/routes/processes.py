"""What if? OGC API Processes Part 1 over the engine's questions; results carry their inputs and figures."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Header, Request, Response

from server import schemas
from server.answers import answer
from server.deps import Context, Here, known_parameters, link, only_json
from server.errors import NoSuchProcessError
from server.runs.jobs import Job
from server.runs.zoning import OUTPUTS, PROCESS, inputs_schema, zoning

router = APIRouter(tags=["processes"], dependencies=[Depends(known_parameters), Depends(only_json)])

_OGC_RESULTS = "http://www.opengis.net/def/rel/ogc/1.0/results"
_OGC_EXECUTE = "http://www.opengis.net/def/rel/ogc/1.0/execute"
# How often a waiting run looks whether its caller is still there.
_GLANCE = 0.25


@router.get("/processes", response_model=schemas.ProcessList)
async def list_processes(request: Request) -> Response:
    """All processes."""
    return answer(request, {"processes": [_summary(request)], "links": [link(request, "self", "/processes")]})


@router.get("/processes/{process_id}", response_model=schemas.ProcessDescription)
async def describe_process(request: Request, process_id: str) -> Response:
    """One process: what it takes and gives."""
    _known(process_id)
    return answer(request, {**_summary(request), "inputs": inputs_schema(), "outputs": dict(OUTPUTS)})


@router.post(
    "/processes/{process_id}/execution",
    response_model=dict[str, Any],
    responses={201: {"model": schemas.JobStatus}},
)
async def execute(
    request: Request,
    here: Here,
    process_id: str,
    body: schemas.Execute,
    prefer: Annotated[str, Header(description="respond-async for a job to come back to.")] = "",
) -> Response:
    """Run a process: the result at once, or a job where the caller prefers that."""
    _known(process_id)
    work = zoning(here, body.inputs)
    if "respond-async" in [word.strip() for word in prefer.split(",")]:
        job = here.jobs.start(process_id, work)
        status = _status(request, job)
        headers = {"Location": status["links"][0]["href"], "Preference-Applied": "respond-async"}
        return answer(request, status, status=201, headers=headers)
    result = await _result(request, here, process_id, work)
    return await asyncio.to_thread(answer, request, result, cache="no-store")


@router.get("/jobs", response_model=schemas.JobList)
async def list_jobs(request: Request, here: Here) -> Response:
    """Remembered runs, newest first."""
    jobs = [_status(request, job) for job in here.jobs.jobs()]
    return answer(request, {"jobs": jobs, "links": [link(request, "self", "/jobs")]}, cache="no-store")


@router.get("/jobs/{job_id}", response_model=schemas.JobStatus)
async def read_job(request: Request, here: Here, job_id: str) -> Response:
    """How a run stands."""
    return answer(request, _status(request, here.jobs.find(job_id)), cache="no-store")


@router.get("/jobs/{job_id}/results", response_model=dict[str, Any])
def read_results(request: Request, here: Here, job_id: str) -> Response:
    """What a run gave; what went wrong where it failed."""
    return answer(request, dict(here.jobs.result(job_id)), cache="no-store")


@router.delete("/jobs/{job_id}", response_model=schemas.JobStatus)
async def dismiss_job(request: Request, here: Here, job_id: str) -> Response:
    """Forget a run; one that has not begun never will."""
    status = _status(request, here.jobs.dismiss(job_id))
    return answer(request, {**status, "status": "dismissed"}, cache="no-store")


async def _result(request: Request, here: Context, process_id: str, work: Any) -> Mapping[str, Any]:
    """The result of a run, given up where the caller has gone before it began."""
    job = here.jobs.start(process_id, work)
    waiting = asyncio.wrap_future(job.future)
    try:
        while not waiting.done():
            await asyncio.wait({waiting}, timeout=_GLANCE)
            if not waiting.done() and await request.is_disconnected():
                waiting.cancel()
                return {}
        return waiting.result()
    finally:
        here.jobs.forget(job)


def _known(process_id: str) -> None:
    if process_id != PROCESS:
        raise NoSuchProcessError(f"no process {process_id!r}; there is {PROCESS}")


def _summary(request: Request) -> dict[str, Any]:
    path = f"/processes/{PROCESS}"
    return {
        "id": PROCESS,
        "version": "1.0.0",
        "title": "洪涝风险区划 / Flood risk zoning",
        "description": "Five risk levels per building and street piece for a storm of a given depth or return period.",
        "jobControlOptions": ["sync-execute", "async-execute", "dismiss"],
        "outputTransmission": ["value"],
        "links": [link(request, "self", path), link(request, _OGC_EXECUTE, f"{path}/execution")],
    }


def _status(request: Request, job: Job) -> dict[str, Any]:
    path = f"/jobs/{job.id}"
    links = [link(request, "self", path)]
    status = job.status
    if status in ("successful", "failed"):
        links.append(link(request, _OGC_RESULTS, f"{path}/results"))
    found = {"jobID": job.id, "processID": job.process, "type": "process", "status": status, "links": links}
    return {**found, "message": job.message} if job.message else found
