"""From a translation to the softmax are six calls and four files: counted on the stack of a running model."""

import sys
from pathlib import Path

import torch
from torch import Tensor

import whyformer
from whyformer import tap
from whyformer.data.tokenizers.pair import JointTokenizer
from whyformer.decoding.beam import BeamSpec
from whyformer.models.transformer import Transformer, transformer
from whyformer.tap import attach
from whyformer.tasks.translation.translator import Translator

CALLS, FILES = 6, 4
OURS = str(Path(whyformer.__file__).parent)
Call = tuple[str, str]
"""The qualified name of a function and its file."""


def calls_above() -> list[Call]:
    """Our own functions that are running now, the outermost first; the tap that hears is left out."""
    frame, calls = sys._getframe(1), []
    while frame is not None:
        code = frame.f_code
        if code.co_filename.startswith(OURS) and code.co_filename != tap.__file__:
            calls.append((code.co_qualname, code.co_filename))
        frame = frame.f_back
    return calls[::-1]


def example() -> tuple[Translator, Transformer]:
    tokenizers = JointTokenizer().train(["the cat sat on the mat"], ["the mat sat on the cat"])
    torch.manual_seed(0)
    spec = transformer(layers=1, d_model=8, heads=2, feed_forward=8, dropout=0.0)
    model = spec.build(tokenizers.source.size, tokenizers.target.size)
    return Translator(model, tokenizers, BeamSpec(size=2)), model


def below(calls: list[Call], name: str) -> list[Call]:
    """The calls under the function called ``name``."""
    names = [call for call, _ in calls]
    return calls[names.index(name) + 1 :]


def test_six_calls_from_the_translator_to_the_softmax():
    translator, model = example()
    heard: list[list[Call]] = []

    def look(_name: str, _scores: Tensor) -> None:
        heard.append(below(calls_above(), "Translator.translate"))

    with attach(model, "decoder.*.scores", look):
        translator("the cat")
    assert heard
    for calls in heard:
        assert [name for name, _ in calls] == [
            "search",
            "Transformer.step",
            "Stack.forward",
            "Block.forward",
            "MultiHeadAttention.forward",
            "attend",
        ]
        assert len(calls) <= CALLS
        assert len({file for _, file in calls}) <= FILES


def test_training_goes_no_deeper():
    _, model = example()
    heard: list[list[Call]] = []

    def look(_name: str, _scores: Tensor) -> None:
        heard.append(below(calls_above(), "Transformer.forward"))

    tokens = torch.tensor([[2, 4, 5]])
    with attach(model, "*.scores", look):
        model(tokens, tokens > 0, tokens, tokens > 0)
    # Encoder, decoder, and the decoder's look at the memory.
    assert len(heard) == 3
    for calls in heard:
        assert calls[-1][0] == "attend"
        assert len(calls) <= CALLS
        assert len({file for _, file in calls}) <= FILES
