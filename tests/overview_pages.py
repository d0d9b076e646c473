"""Batches with results on disk, for the tests of their overview."""

from pathlib import Path
from typing import Any

from runs import make_result

from recover.batch.overview import Batch, JobEntry
from recover.results.schema import Result, Summary, Tool, dumps

HOSTILE = "<script>window.ran = 1</script>\x1b[31m =1+1"


def result_of(harmful: tuple[float | None, ...], **more: Any) -> Result:
    names = ("aligned", "tuned", "restored")
    summary = Summary(harmful=dict(zip(names, harmful, strict=True)), task_retention=0.98)
    return make_result([]).model_copy(update={"summary": summary, **more})


def entry(folder: Path, name: str, harmful: tuple[float | None, ...] = (0.01, 0.8, 0.02), code: int = 0) -> JobEntry:
    """A job that is done, with its result on disk."""
    place = folder / name / "restored" / "recovery" / "result.json"
    place.parent.mkdir(parents=True)
    place.write_text(dumps(result_of(harmful, exit_code=code)))
    return JobEntry(
        name=name, key="0", status="done", exit_code=code, result=str(place.relative_to(folder)), seconds=61.0
    )


def make_batch(jobs: list[JobEntry]) -> Batch:
    return Batch(tool=Tool(version="0.1.0"), created="2025-01-02T03:04:05+00:00", aligned="models/aligned", jobs=jobs)
