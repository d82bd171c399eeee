"""What schemathesis is told of the service beyond its document; its program loads this module."""

import re
from typing import Any

import schemathesis

# What no schema can say: which fields go together, what a run's tokenizer knows, sums over a request.
_UNSAYABLE = re.compile(
    "|".join(
        (
            r"best_of: (\d+ texts cannot give|which texts are best)",
            r"stream_options: set stream",
            r"logit_bias: ",
            r"n: \d+ texts are more than",
            r"echo: a translation does not go on",
            r"(prompt|input)(\[\d+\])?: ",
            r"(response_format|timestamp_granularities\[\]): (times are in|a stream is)",
            r"file: ",
            r"ids: |translation and ids say the same",
            r"q has [\d,]+ characters",
            r"the (texts have|sentence) ",
            r"this request has up to [\d,]+ tokens",
            r"text \d+ has [\d,]+ tokens",
            r"[\d,]+ (outputs for a text|tokens) are asked for",
            r"nothing here translates from",
            r"alternatives is more than",
            r"a beam of [\d,]+ hypotheses",
            # The program takes 2 ** 63 + 191 for less than 2 ** 63.
            r"[^:]+: the integer -?\d+… has more than",
        )
    )
)
_NAMES = {
    "/v1/completions": ("counting", "reverse"),
    "/v1/embeddings": ("counting", "filling"),
    "/v1/explain": ("reverse",),
    "/v1/fill": ("filling",),
    "/v1/audio/transcriptions": ("tones",),
}


@schemathesis.hook
def map_body(context: Any, body: Any) -> Any:
    """Ask for runs that are there, where a request names one."""
    names = _NAMES.get(context.operation.path)
    if names and isinstance(body, dict) and isinstance(body.get("model"), str) and body["model"]:
        return {**body, "model": names[len(body["model"]) % len(names)]}
    return body


@schemathesis.check
def said_in_one_sentence(_context: Any, response: Any, case: Any) -> None:
    """A refusal is one sentence; that of a request as the document wants it says what no schema can."""
    if response.status_code < 400:
        return
    error = response.json()["error"]
    told = error["message"] if isinstance(error, dict) else error
    assert re.fullmatch(r"\S[^\n]{1,998}\.", told), told
    assert "Traceback" not in told, told
    assert response.headers["x-request-id"]
    if case.meta is not None and case.meta.generation.mode.is_positive and response.status_code != 404:
        assert _UNSAYABLE.match(told), f"the document does not say: {told}"
