"""A run that translates, on a Ray cluster: ``python deploy/ray_service.py runs/demo --replicas 2``.

It takes LibreTranslate's ``POST /translate`` in JSON, one text or a list. Each replica is a process with the
same runner as the program's; texts of several requests are computed together once it is free. Extra ``ray``.
"""

import argparse
import asyncio
from pathlib import Path

from ray import serve
from ray.serve import Application
from starlette.requests import Request
from starlette.responses import JSONResponse

from whyformer.errors import WhyformerError
from whyformer.runs.execution import Execution
from whyformer.runs.load import load_as
from whyformer.tasks.translation.translator import Translator


@serve.deployment(max_ongoing_requests=64, max_queued_requests=256)
class TranslationReplica:
    """One copy of the run."""

    def __init__(self, run: str, threads: int) -> None:
        self._translator = load_as(Translator, run, Execution(threads=threads))

    @serve.batch(max_batch_size=64, batch_wait_timeout_s=0.0)
    async def _translate(self, texts: list[str]) -> list[str]:
        return [outputs[0].text for outputs in self._translator.translate(texts)]

    async def __call__(self, request: Request) -> JSONResponse:
        """Answer one request."""
        try:
            asked = (await request.json())["q"]
            texts = asked if isinstance(asked, list) else [asked]
            found = await asyncio.gather(*(self._translate(str(text)) for text in texts))
        except (KeyError, TypeError, ValueError):
            return JSONResponse({"error": "send JSON with the field q, a text or a list."}, 400)
        except WhyformerError as error:
            return JSONResponse({"error": str(error)}, 400)
        return JSONResponse({"translatedText": found if isinstance(asked, list) else found[0]})


def application(run: str, replicas: int, cpus: float) -> Application:
    """The application of ``run`` in so many ``replicas``, with so many ``cpus`` each."""
    options = {"num_cpus": cpus}
    replica = TranslationReplica.options(num_replicas=replicas, ray_actor_options=options)
    return replica.bind(str(Path(run).resolve()), max(1, int(cpus)))


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("run")
    for name, kind, default in (("replicas", int, 2), ("cpus", float, 1.0), ("port", int, 8000)):
        parser.add_argument(f"--{name}", type=kind, default=default)
    given = parser.parse_args()
    serve.start(http_options={"port": given.port})
    serve.run(application(given.run, given.replicas, given.cpus), route_prefix="/translate", blocking=True)
