"""Runs that nobody has trained, sentences for them, and operations whose pace a test sets."""

import threading
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from typing import Literal

import torch
from typing_extensions import override

from whyformer.data.tokenizers.kinds import Word
from whyformer.data.tokenizers.pair import JointTokenizer
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.stopping import Wanted
from whyformer.engines.native.engine import NativeEngine
from whyformer.models.bert import BERTSpec
from whyformer.models.bert import presets as bert_presets
from whyformer.models.gpt import GPTSpec
from whyformer.models.gpt import presets as gpt_presets
from whyformer.models.transformer import transformer
from whyformer.serve.asking import Asking
from whyformer.serve.batching.operation import Operation
from whyformer.serve.service import HostedRun
from whyformer.tasks.causal_lm.generator import Generator
from whyformer.tasks.embedding.embedder import Embedder
from whyformer.tasks.masked_lm.filler import Filler
from whyformer.tasks.task import Runner
from whyformer.tasks.translation.translator import Translator

WORDS = [f"w{index}" for index in range(60)]
LONGEST = 40
"""Tokens that the toys take at most, special tokens included."""


def texts(random: Random, count: int, *, blank: bool = True) -> list[str]:
    """Sentences of many lengths, some of them blank."""
    return [" ".join(random.choices(WORDS, k=random.randrange(0 if blank else 1, 15))) for _ in range(count)]


def _untrained(model: torch.nn.Module) -> None:
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter), alpha=0.2)


def toy_translator(engine: Literal["torch", "fp32", "int8"] = "torch", seed: int = 1) -> Translator:
    """A translator that writes nonsense of many lengths."""
    tokenizers = JointTokenizer(both=Word(split="spaces")).train([" ".join(WORDS)], [" ".join(WORDS)])
    torch.manual_seed(seed)
    spec = transformer(layers=2, d_model=32, heads=2, feed_forward=48, dropout=0.0)
    spec = spec.model_copy(update={"longest": LONGEST})
    model = spec.build(tokenizers.source.size, tokenizers.target.size)
    _untrained(model)
    settings = GreedySpec(longest_extra=8)
    native = None if engine == "torch" else NativeEngine(model.eval(), engine)
    return Translator(model, tokenizers, settings, engine=native)


def toy_generator() -> Generator:
    """A generator that writes nonsense."""
    tokenizer = Word(split="spaces").train([" ".join(WORDS)])
    torch.manual_seed(1)
    spec = GPTSpec.model_validate(gpt_presets()["tiny"])
    stack = spec.stack.model_copy(update={"layers": 1})
    spec = spec.model_copy(update={"stack": stack, "longest": LONGEST})
    model = spec.build(tokenizer.size)
    _untrained(model)
    return Generator(model, tokenizer, GreedySpec(longest_factor=0.0, longest_extra=12))


def toy_filler() -> tuple[Filler, Embedder]:
    """A BERT as what fills holes and as what makes vectors."""
    tokenizer = Word(split="spaces", specials=("[MASK]",)).train([" ".join(WORDS)])
    torch.manual_seed(1)
    spec = BERTSpec.model_validate(bert_presets()["tiny"])
    model = spec.build(tokenizer.size)
    _untrained(model)
    return Filler(model, tokenizer), Embedder(model, spec, tokenizer)


def hosted(name: str, task: str, runner: Runner, embedder: Embedder | None = None) -> HostedRun:
    """A run that is served."""
    return HostedRun(name, task, runner, "00", 0, embedder)


def asking(deadline: float | None = None) -> Asking:
    """A request."""
    return Asking("a", deadline)


@dataclass(eq=False)
class Gated(Operation[str, str, str]):
    """Doubles texts, once its gate is open; the text "bad" cannot be taken, "worse" breaks its call."""

    tokens: int = 10
    gate: threading.Event = field(default_factory=threading.Event)
    begun: threading.Semaphore = field(default_factory=lambda: threading.Semaphore(0))
    """Released once for each call that has begun."""
    calls: list[list[str]] = field(default_factory=list[list[str]])
    stopped: list[list[bool]] = field(default_factory=list[list[bool]])
    """Flags of the calls once the gate was open."""

    @override
    def costs(self, items: Sequence[str]) -> list[int]:
        return [self.tokens for _ in items]

    @override
    def prepare(self, items: Sequence[str], first: int) -> Sequence[str]:
        if "bad" in items:
            raise ValueError(f"text {first + items.index('bad')} is bad")
        return items

    @override
    def run(self, ready: Sequence[str], wanted: Wanted) -> list[str]:
        self.calls.append([*ready])
        self.begun.release()
        assert self.gate.wait(60)
        self.stopped.append(wanted.now().tolist())
        if "worse" in ready:
            raise ValueError("this cannot be doubled")
        return [2 * text for text in ready]
