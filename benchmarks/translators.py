"""What translates: our translator, CTranslate2 and Hugging Face, each from text to text."""

import gc
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import torch
from arms import Run

from whyformer.huggingface.formats.marian import HuggingFaceMarian
from whyformer.machine import keep_freed_memory
from whyformer.runs.load import open_run
from whyformer.special_tokens import BOS, EOS, PAD

# As `whyformer` does, and for every arm alike: else some rounds take a tenth of a second longer, in which
# all that torch has made is looked through for garbage.
gc.set_threshold(100_000)


class Work(NamedTuple):
    """What every arm is told at its beginning."""

    folder: Path
    """With ``run``, ``marian`` and ``ctranslate2`` in it."""
    run: Path
    batch: int
    beam: int
    forced: int | None
    """Most tokens of a translation where the weights are fresh, which almost never end one by themselves."""
    limit: int
    """Most tokens that the model writes."""
    device: str = "cpu"
    """Where all compute: cpu or cuda."""

    @property
    def longest(self) -> int:
        """Most tokens of a translation."""
        return self.forced or self.limit

    @property
    def shortest(self) -> int:
        """Fewest: a beam would find an early end, and prefer it. Greedy search needs to forbid nothing."""
        return self.forced if self.forced and self.beam > 1 else 1


class Done(NamedTuple):
    """What an arm tells of its part of the sentences."""

    texts: list[str]
    tokens: list[tuple[int, ...]]
    """The ids of each translation, by our numbers, without marks. Texts alone would not do: of the unknown
    token some tokenizers write a name, and others nothing."""
    seconds: list[float]
    """For each batch, where one comes after the other; else empty."""


Some = Callable[[Sequence[str]], tuple[list[str], list[tuple[int, ...]]]]
"""Translates some sentences: texts, and ids as in ``Done``."""


def our_numbers(work: Work) -> dict[int, int]:
    """Our id of each of Marian's, marks left out."""
    tokenizers: Any = open_run(work.run).assets
    size = tokenizers.target.size
    theirs = HuggingFaceMarian().own_token_ids(size).theirs
    return {id: ours for ours, id in enumerate(theirs) if id is not None and ours not in (PAD, BOS, EOS)}


def ours(work: Work, precision: str, engine: str, vocabulary: str, threads: int, parallel: int) -> Run:
    """Our translator, its ``vocabulary`` all or listed."""
    from whyformer.decoding.beam import BeamSpec
    from whyformer.decoding.greedy import GreedySpec
    from whyformer.runs.execution import Execution
    from whyformer.runs.load import load_as
    from whyformer.tasks.translation.translator import Translator

    torch.set_num_threads(threads * parallel)
    keep_freed_memory()  # as `whyformer translate` does
    limits = {"longest_factor": 0.0, "longest_extra": work.forced, "shortest": work.shortest}
    told: dict[str, Any] = limits if work.forced else {}
    if work.beam == 1:
        settings = GreedySpec(**told)
    else:
        settings = BeamSpec(size=work.beam, length_penalty=0.0, **told)
    translator = load_as(
        Translator, work.run, Execution(work.device, None, precision, engine, vocabulary == "listed")
    )
    translator.parallel = parallel

    def some(texts: Sequence[str]) -> tuple[list[str], int]:
        found = [best[0] for best in translator.translate(texts, settings, batch=work.batch)]
        return [best.text for best in found], [best.ids for best in found]

    return by_batches(some, work.batch if parallel == 1 else None)


def ct2(work: Work, kind: str, vocabulary: str, threads: int, parallel: int) -> Run:
    """CTranslate2, its ``vocabulary`` all or listed; it shares out the batches of one call itself."""
    import ctranslate2
    from tokenizers import Tokenizer

    engine = ctranslate2.Translator(
        str(work.folder / "ctranslate2"),
        device=work.device,
        compute_type=kind,
        inter_threads=parallel,
        intra_threads=threads,
    )
    tokenizer = Tokenizer.from_file(str(work.folder / "marian" / "tokenizer.json"))
    numbers = our_numbers(work)
    limits = {"min_decoding_length": work.shortest, "max_decoding_length": work.longest}

    def some(texts: Sequence[str]) -> tuple[list[str], int]:
        results = engine.translate_batch(
            [encoding.tokens for encoding in tokenizer.encode_batch(list(texts))],
            beam_size=work.beam,
            max_batch_size=work.batch,
            length_penalty=0.0,
            use_vmap=vocabulary == "listed",
            **limits,
        )
        rows = [[tokenizer.token_to_id(token) for token in result.hypotheses[0]] for result in results]
        return tokenizer.decode_batch(rows), [tuple(numbers[id] for id in row) for row in rows]

    return by_batches(some, work.batch if parallel == 1 else None)


def hf(work: Work, kind: str, threads: int, parallel: int) -> Run:
    """Hugging Face's generate; it has one stream."""
    from transformers import AutoTokenizer, MarianMTModel

    torch.set_num_threads(threads)
    folder = work.folder / "marian"
    dtype = torch.bfloat16 if kind == "bf16" else torch.float32
    model: Any = MarianMTModel.from_pretrained(folder, dtype=dtype).eval().to(work.device)
    tokenizer: Any = AutoTokenizer.from_pretrained(folder)
    numbers = our_numbers(work)
    model.generation_config.max_length = None
    # Else the last token would be an end that nobody else is made to write.
    model.generation_config.forced_eos_token_id = None
    limits = {"min_new_tokens": work.shortest, "max_new_tokens": work.longest}
    # Said in any case: what is exported has the recipe's own beam.
    ranked = {"num_beams": work.beam} | ({"length_penalty": 0.0} if work.beam > 1 else {})

    @torch.inference_mode()
    def some(texts: Sequence[str]) -> tuple[list[str], int]:
        told = tokenizer(list(texts), padding=True, return_tensors="pt").to(work.device)
        rows = model.generate(**told, do_sample=False, **ranked, **limits)
        # The first token starts the target, and what follows the last is padding: marks both.
        ids = [tuple(numbers[id] for id in row if id in numbers) for row in rows.tolist()]
        return tokenizer.batch_decode(rows, skip_special_tokens=True), ids

    return by_batches(some, work.batch)


def by_batches(some: Some, batch: int | None) -> Run:
    """``some`` on all sentences, ``batch`` at a time unless it shares them out itself."""

    def run(texts: Sequence[str]) -> Done:
        done = Done([], [], [])
        size = len(texts) if batch is None else batch
        for first in range(0, len(texts), size):
            began = time.perf_counter()
            found, tokens = some(texts[first : first + size])
            done = Done(
                done.texts + found, done.tokens + tokens, [*done.seconds, time.perf_counter() - began]
            )
        return done

    return run
