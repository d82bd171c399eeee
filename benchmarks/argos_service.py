"""LibreTranslate itself with a model of ours, for comparison: what a user of its clients has today.

    PYTHON argos_service.py FOLDER BEAM

PYTHON is one in which `libretranslate` is installed; it wants versions of its own of nearly everything, so it
gets an environment of its own, and this file imports nothing of ours. FOLDER has `marian`, our weights with
their tokenizer, and `ctranslate2`, the same converted; a package of Argos is made of them there. The port
stands in the first line that is written.

What is done for its speed: two translations at a time, each by one thread (its setting is one by all), int8,
no texts in the log, as many threads as requests are under way, no limits. Its models that split texts into
sentences are downloads, so no text is split here: each is a sentence already.
"""

import json
import logging
import os
import shutil
import socket
import sys
from importlib import import_module
from pathlib import Path
from typing import Any

SPACE = "\u2581"
"""What stands for a space in SentencePiece's pieces."""
THREADS = 128
SETTINGS = {"ARGOS_INTER_THREADS": "2", "ARGOS_INTRA_THREADS": "1", "ARGOS_COMPUTE_TYPE": "int8"}
OPTIONS = (
    *("--host", "127.0.0.1", "--threads", str(THREADS)),
    *("--disable-web-ui", "--disable-files-translation"),
)


def pieces(tokenizer: dict[str, Any]) -> bytes:
    """A SentencePiece model that cuts texts as a BPE tokenizer with spaces at the beginning of words does."""
    schema: Any = import_module("sentencepiece.sentencepiece_model_pb2")
    kinds = schema.ModelProto.SentencePiece
    model = schema.ModelProto()
    model.trainer_spec.model_type = schema.TrainerSpec.BPE
    model.normalizer_spec.name = "identity"
    for name, kind in (("<unk>", kinds.UNKNOWN), ("<s>", kinds.CONTROL), ("</s>", kinds.CONTROL)):
        model.pieces.add(piece=name, score=0.0, type=kind)
    # The pair whose whole has the greatest score is merged first; what nothing makes is never merged.
    ranks = {"".join(pair): rank for rank, pair in reversed([*enumerate(tokenizer["model"]["merges"])])}
    special = {token["content"] for token in tokenizer["added_tokens"]}
    for piece in tokenizer["model"]["vocab"]:
        if piece not in special:
            score = -float(ranks.get(piece, len(ranks)))
            model.pieces.add(piece=piece.replace(" ", SPACE), score=score, type=kinds.NORMAL)
    return model.SerializeToString()


def package(folder: Path, to: Path, source: str, target: str) -> None:
    """Make a package of Argos that says to translate from ``source`` into ``target``."""
    (to / "model").mkdir(parents=True)
    converted = folder / "ctranslate2"
    shutil.copy(converted / "model.bin", to / "model")
    # Argos ends no sentence itself.
    settings = json.loads((converted / "config.json").read_text()) | {"add_source_eos": True}
    (to / "model" / "config.json").write_text(json.dumps(settings))
    words = json.loads((converted / "shared_vocabulary.json").read_text())
    spaced = [word.replace(" ", SPACE) for word in words]
    (to / "model" / "shared_vocabulary.json").write_text(json.dumps(spaced))
    tokenizer = json.loads((folder / "marian" / "tokenizer.json").read_text())
    (to / "sentencepiece.model").write_bytes(pieces(tokenizer))
    codes = {"from_code": source, "from_name": source, "to_code": target, "to_name": target}
    told = {"package_version": "1.0", "argos_version": "1.0", **codes}
    (to / "metadata.json").write_text(json.dumps(told))


def whole(_: object, text: str) -> list[str]:
    """The text as its only sentence."""
    return [text]


def main() -> None:
    """Make the packages, and serve until ended."""
    folder, beam = Path(sys.argv[1]), sys.argv[2]
    home = folder / "argos"
    # With less than two packages it looks for others to download.
    for source, target in (("en", "de"), ("de", "en")):
        package(folder, home / "argos-translate" / "packages" / f"{source}_{target}", source, target)
    # Argos reads all of these when it is imported.
    homes = dict.fromkeys(("XDG_DATA_HOME", "XDG_CONFIG_HOME", "XDG_CACHE_HOME"), str(home))
    os.environ.update(homes | SETTINGS | {"ARGOS_BEAM_SIZE": beam})
    splitter: Any = import_module("argostranslate.sbd").MiniSBDSentencizer
    splitter.split_sentences = whole
    program: Any = import_module("libretranslate.main")
    logging.getLogger("argostranslate.utils").setLevel(logging.WARNING)
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    print(f"http://127.0.0.1:{port}", flush=True)
    sys.argv = ["libretranslate", *OPTIONS, "--port", str(port)]
    os.chdir(home)
    program.main()


if __name__ == "__main__":
    main()
