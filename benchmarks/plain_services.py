"""Services as one writes them in ten lines: FastAPI around a translator, for comparison with ours.

    python plain_services.py whyformer RUN [PRECISION]
    python plain_services.py ctranslate2 FOLDER

It speaks as much of `/translate` as is measured, and tells the port it listens at in its first line. FOLDER
has `marian`, our weights with their tokenizer, and `ctranslate2`, the same converted.
"""

import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import uvicorn
from fastapi import FastAPI
from pydantic import BaseModel

Best = Callable[[list[str]], list[str]]


class Asked(BaseModel):
    """A request of LibreTranslate's dialect."""

    q: str | list[str]


def whyformer_translator(run: str, precision: str = "fp32") -> Best:
    """A run as `whyformer.load` gives it."""
    import whyformer

    load: Any = whyformer.load
    return load(run, device="cpu", precision=precision).best


def ctranslate2_translator(folder: str, beam: str = "5") -> Best:
    """CTranslate2's translator in int8, with a search like ours."""
    import ctranslate2
    from tokenizers import Tokenizer

    engine = ctranslate2.Translator(
        str(Path(folder) / "ctranslate2"), compute_type="int8", inter_threads=2, intra_threads=1
    )
    tokenizer: Any = Tokenizer.from_file(str(Path(folder) / "marian" / "tokenizer.json"))

    def best(texts: list[str]) -> list[str]:
        encoded = [encoding.tokens for encoding in tokenizer.encode_batch(texts)]
        found = engine.translate_batch(encoded, beam_size=int(beam), max_batch_size=64)
        rows = [[tokenizer.token_to_id(token) for token in each.hypotheses[0]] for each in found]
        return tokenizer.decode_batch(rows)

    return best


def main() -> None:
    """Load, and serve until ended."""
    kind, *how = sys.argv[1:]
    best = {"whyformer": whyformer_translator, "ctranslate2": ctranslate2_translator}[kind](*how)
    application = FastAPI()

    @application.post("/translate")
    def translate(asked: Asked) -> dict[str, Any]:
        if isinstance(asked.q, str):
            return {"translatedText": best([asked.q])[0]}
        return {"translatedText": best(asked.q)}

    with socket.create_server(("127.0.0.1", 0), backlog=2048) as listener:
        print(f"http://127.0.0.1:{listener.getsockname()[1]}", flush=True)
        server = uvicorn.Server(uvicorn.Config(application, log_level="warning", access_log=False))
        server.run(sockets=[listener])


if __name__ == "__main__":
    main()
