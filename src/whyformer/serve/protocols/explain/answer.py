"""A sentence looked into, in the shape that the page's components take.

S source length · T target length · H heads · Q queries · K keys
"""

import base64
import time
from collections.abc import Sequence
from typing import Any

import numpy as np

from whyformer.analysis.inspection import Inspection, inspect_tokens
from whyformer.analysis.search_tree import SearchTree, grow_tree
from whyformer.attention.multihead import AttentionSpec
from whyformer.data.corpora.detection.blank import is_blank
from whyformer.errors import DecodingError
from whyformer.models.transformer import Transformer
from whyformer.plots.inspection.map import AttentionMap
from whyformer.serve.protocols.explain.request import ExplainRequest, recipes_search
from whyformer.serve.refusals import InvalidRequestError, RequestTooLargeError
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tasks.translation.translator import Translator

Json = dict[str, Any]

MOST_WEIGHTS = 2_000_000
"""Maximum number of weights of attention in an answer: 11 MB in base64."""


def look_into(translator: Translator, asked: ExplainRequest) -> Json:
    """The answer to what was ``asked``: tokens, outputs, tree of the search, and a look at the best output.

    Raises:
        InvalidRequestError: a token is not in the vocabulary, or the settings do not suit the model.
        RequestTooLargeError: a side is longer than the model takes, or attention would be too much.
    """
    if is_blank(asked.text):
        return _nothing()
    source = _source(translator, asked.text)
    began = time.perf_counter()
    outputs: list[Json] = []
    tree: list[list[Json]] = []
    written = _given(translator, asked)
    if written is None:
        grown = _searched(translator, source, asked)
        outputs, tree = _outputs(translator, grown), _tree(translator, grown)
        best = grown.hypotheses[0]
        written = [*best.tokens, EOS] if best.finished else [*best.tokens]
    milliseconds = (time.perf_counter() - began) * 1000
    if len(written) > _most(translator):
        raise RequestTooLargeError(
            f"the translation has {len(written):,} tokens with its end mark, but the model takes "
            f"{_most(translator):,}; shorten it.",
            field="translation",
        )
    if asked.attention:
        _refuse_heavy(translator, len(source), len(written))
    look = _look(inspect_tokens(translator, asked.text, written), source, written, asked)
    return {
        "source": look["source"],
        "outputs": outputs,
        "tree": tree,
        "look": look,
        "milliseconds": milliseconds,
    }


def heads_of(translator: Translator) -> dict[str, list[int]]:
    """Number of heads of each layer, by the place of the attention; 0 where a recurrence takes its place."""
    model = translator.model
    if not isinstance(model, Transformer):
        return {"encoder self": [], "decoder self": [], "cross": [1]}
    encoder, decoder = model.spec.encoder, model.spec.decoder
    return {
        "encoder self": [_heads(encoder.block.attention)] * encoder.layers,
        "decoder self": [_heads(decoder.block.attention)] * decoder.layers,
        "cross": [_heads(decoder.block.cross_attention)] * decoder.layers,
    }


def facts_of(translator: Translator) -> Json:
    """Facts of a model, which a page has to know before it shows an answer."""
    return {
        "d_model": translator.model.output_weight.shape[1],
        "source_vocabulary": translator.tokenizers.source.size,
        "vocabulary": translator.tokenizers.target.size,
        "longest": translator.model.longest,
        "start": BOS,
        "end": EOS,
        "heads": heads_of(translator),
    }


def _heads(attention: AttentionSpec | None) -> int:
    return 0 if attention is None else attention.heads.query


def _most(translator: Translator) -> int:
    """Maximum number of tokens of a side, besides one mark."""
    return translator.model.longest - 1


def _source(translator: Translator, text: str) -> list[int]:
    ids = translator.tokenizers.source.encode(text)
    if len(ids) > _most(translator):
        raise RequestTooLargeError(
            f"the sentence has {len(ids):,} tokens, but the model takes {_most(translator):,}; shorten it.",
            field="text",
        )
    return [*ids, EOS]


def _given(translator: Translator, asked: ExplainRequest) -> list[int] | None:
    """The tokens of the translation that was given, if one was."""
    target = translator.tokenizers.target
    ids = asked.ids
    if ids is None:
        if asked.translation is None:
            return None
        ids = target.encode(asked.translation)
    elif wrong := [id for id in ids if id >= target.size or id in (PAD, BOS, EOS)]:
        raise InvalidRequestError(
            f"ids: {min(wrong[0], 10**9):,} is no token of a translation; the end mark comes by "
            f"itself, and the last token is {target.size - 1:,}.",
            field="ids",
        )
    return [*ids, EOS] if asked.finished or not ids else [*ids]


def _searched(translator: Translator, source: Sequence[int], asked: ExplainRequest) -> SearchTree:
    recipe = translator.settings
    search = recipes_search(recipe) if asked.search is None else asked.search
    try:
        return grow_tree(translator, source, search.over(recipe))
    except DecodingError as error:
        raise InvalidRequestError(str(error), field="search") from error


def _refuse_heavy(translator: Translator, source: int, target: int) -> None:
    cells = {"encoder self": source * source, "decoder self": target * target, "cross": target * source}
    weights = sum(cells[place] * sum(heads) for place, heads in heads_of(translator).items())
    if weights > MOST_WEIGHTS:
        raise RequestTooLargeError(
            f"attention has {weights:,} weights here, and {MOST_WEIGHTS:,} are sent at most; shorten the "
            "sentence, or ask with attention: false.",
            field="text",
        )


def _outputs(translator: Translator, grown: SearchTree) -> list[Json]:
    target = translator.tokenizers.target
    return [
        {
            "ids": [*each.tokens],
            "tokens": target.tokens(each.tokens),
            "text": target.decode(each.tokens),
            "score": each.score,
            "log_probability": each.log_probability,
            "token_log_probabilities": [*each.token_log_probabilities],
            "finished": each.finished,
            "node": node,
        }
        for each, node in zip(grown.hypotheses, grown.nodes, strict=True)
    ]


def _tree(translator: Translator, grown: SearchTree) -> list[list[Json]]:
    target = translator.tokenizers.target
    return [
        [
            {
                "id": node.id,
                "parent": node.parent,
                "token_id": node.token,
                "log_probability": node.log_probability,
                "total": node.total,
                "living": node.living,
                "ended": node.ended,
                "token": token,
            }
            for node, token in zip(step, target.tokens([node.token for node in step]), strict=True)
        ]
        for step in grown.steps
    ]


def _look(seen: Inspection, source: Sequence[int], written: Sequence[int], asked: ExplainRequest) -> Json:
    maps = seen.attention if asked.attention else []
    return {
        "source": {"ids": [*source], "tokens": seen.source_tokens},
        "target": {"ids": [*written], "tokens": [step.token for step in seen.steps]},
        "steps": [
            {
                "token": step.token,
                "log_probability": step.log_probability,
                "others": [{"token": token, "log_probability": number} for token, number in step.others],
            }
            for step in seen.steps
        ],
        "attention": [_map(each, asked.encoding_format) for each in maps],
    }


def _map(attention: AttentionMap, encoding: str) -> Json:
    weights = np.asarray(attention.weights, dtype="<f4")
    flat = weights.ravel()
    return {
        "place": attention.place,
        "layer": attention.layer,
        "heads": len(weights),
        "queries": [*attention.queries],
        "keys": [*attention.keys],
        "written": None if attention.written is None else [*attention.written],
        # (H,Q,K), row by row
        "weights": (
            base64.b64encode(flat.tobytes()).decode("ascii")
            if encoding == "base64"
            else [float(f"{weight:.6g}") for weight in flat.tolist()]
        ),
    }


def _nothing() -> Json:
    """Answer to a blank text."""
    output = {"ids": [], "tokens": [], "text": "", "score": 0.0, "log_probability": 0.0, "finished": True}
    return {
        "source": {"ids": [], "tokens": []},
        "outputs": [output],
        "tree": [],
        "look": None,
        "milliseconds": 0.0,
    }
