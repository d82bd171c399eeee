"""Tokenizers of other toolkits: brought to our ids and special tokens, and back to theirs.

What cuts the text (normalizer, pre-tokenizer, merges, scores) stays as it is, so the pieces stay the same.
"""

from collections.abc import Sequence
from typing import Any

from whyformer.data.tokenizers.imported import Imported
from whyformer.data.tokenizers.tokenizer import SPEC_KEY, Document
from whyformer.errors import TokenizerError
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.special_tokens import NAMES, UNK


def pieces_of(document: Document) -> list[str]:
    """The vocabulary of a tokenizer file in the order of ids.

    Raises:
        TokenizerError: it has none, or ids are left out.
    """
    vocabulary = document.get("model", {}).get("vocab")
    match vocabulary:
        case dict():
            by_id = {id: piece for piece, id in vocabulary.items()}
        case list():
            by_id = dict(enumerate(piece for piece, _ in vocabulary))
        case _:
            raise TokenizerError(
                "tokenizer.json has no model.vocab; save it by a current tokenizers library."
            )
    by_id.update({token["id"]: token["content"] for token in document.get("added_tokens", [])})
    if sorted(by_id) != list(range(len(by_id))):
        raise TokenizerError("tokenizer.json leaves out ids; number its pieces without gaps.")
    return [by_id[id] for id in range(len(by_id))]


def from_theirs(document: Document, marks: Sequence[int | None], model: str) -> tuple[Document, TokenIds]:
    """Their file, which came with a ``model``, in our ids and with our special tokens, there ``marks``.

    Raises:
        TokenizerError: ids are left out, or a piece is called like one of our special tokens.
    """
    theirs = pieces_of(document)
    added = {token["id"]: token for token in document["added_tokens"]}
    first = (*marks, *(id for id in sorted(added) if id not in marks))
    present = {id for id in first if id is not None}
    token_ids = TokenIds(first, len(theirs) + len(first) - len(present))
    kept = [theirs[id] for id in token_ids.theirs[len(NAMES) :] if id is not None]
    if taken := set(kept) & set(NAMES):
        raise TokenizerError(f"tokenizer.json has pieces called {', '.join(sorted(taken))}; rename them.")
    tokens = [_mark(id, name) for id, name in enumerate(NAMES)]
    others = enumerate(first[len(NAMES) :], start=len(NAMES))
    tokens += [{**added[id], "id": place} for place, id in others if id is not None]
    spec = document["model"].get(SPEC_KEY)
    if spec is None:
        names = tuple("" if id is None else theirs[id] for id in first)
        spec = Imported(model=model, ids=first, names=names).model_dump(mode="json")
    made = _renumbered(document, [*NAMES, *kept], tokens, unknown=UNK)
    made["model"][SPEC_KEY] = spec
    return {**made, "truncation": None, "padding": None, "post_processor": None}, token_ids


def to_theirs(document: Document, token_ids: TokenIds, names: Sequence[str]) -> Document:
    """Our file in their ids and with their ``names`` of the first tokens."""
    ours = pieces_of(document)
    ours[: len(names)] = names
    theirs = [""] * token_ids.their_size
    # The end goes before a start that is the same token there.
    for id, piece in reversed([*zip(token_ids.theirs, ours, strict=True)]):
        if id is not None and not theirs[id]:
            theirs[id] = piece
    tokens = {
        id: {**token, "id": id, "content": theirs[id]}
        for token in document["added_tokens"]
        if (id := token_ids.theirs[token["id"]]) is not None
    }
    made = _renumbered(document, theirs, [tokens[id] for id in sorted(tokens)], token_ids.first[UNK])
    if document["model"][SPEC_KEY]["kind"] == "imported":
        del made["model"][SPEC_KEY]
    return made


def framing(document: Document, marks: Sequence[str]) -> dict[str, Any] | None:
    """Template that puts ``marks``, BOS and EOS or EOS alone, around a text, as the library writes it."""
    if not marks:
        return None
    ids = {piece: id for id, piece in enumerate(pieces_of(document))}
    *opening, end = ({"SpecialToken": {"id": name, "type_id": 0}} for name in marks)
    single = [*opening, {"Sequence": {"id": "A", "type_id": 0}}, end]
    second = [{"Sequence": {"id": "B", "type_id": 1}}, {"SpecialToken": {"id": marks[-1], "type_id": 1}}]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [*single, *second],
        "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in marks},
    }


def _renumbered(
    document: Document, pieces: Sequence[str], tokens: list[dict[str, Any]], unknown: int | None
) -> Document:
    """``document`` with other ``pieces`` in the order of ids, added ``tokens`` and ``unknown`` id."""
    model = dict(document["model"])
    if isinstance(model["vocab"], dict):
        model["vocab"] = {piece: id for id, piece in enumerate(pieces)}
        if model.get("unk_token") is not None:
            model["unk_token"] = None if unknown is None else pieces[unknown]
    else:
        scores = dict(model["vocab"])
        model["vocab"] = [[piece, scores.get(piece, 0.0)] for piece in pieces]
        model["unk_id"] = unknown
    return {**document, "added_tokens": tokens, "model": model}


def _mark(id: int, name: str) -> dict[str, Any]:
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    return {"id": id, "content": name, **plain, "special": True}
