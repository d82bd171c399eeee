"""Tokenizers of other toolkits: brought to our ids and special tokens, and back to theirs.

What cuts the text (normalizer, pre-tokenizer, merges, scores) stays as it is, so the pieces stay the same.
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

from whyformer.data.tokenizers.imported import MASK_NAME, Imported
from whyformer.data.tokenizers.tokenizer import SPEC_KEY, Document
from whyformer.errors import TokenizerError
from whyformer.huggingface.tokenizers.token_ids import TokenIds
from whyformer.special_tokens import NAMES, UNK


class Origin(NamedTuple):
    """A tokenizer that came with a model, as far as its file does not tell."""

    model: str
    """Type of the model."""
    marks: Sequence[int | None]
    """Their ids of our four special tokens."""
    opens: bool = True
    """Whether a prompt begins with BOS."""
    mask: str = MASK_NAME
    """Their name of the token that hides another."""
    separators: int = 1
    """Number of EOS between two texts."""
    strays: int = 0
    """Number of last pieces that are their unknown token."""


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


def from_theirs(document: Document, origin: Origin) -> tuple[Document, TokenIds]:
    """Their file, which came with a model, in our ids and with our special tokens.

    Raises:
        TokenizerError: ids are left out, or a piece is called like one of our special tokens.
    """
    theirs, marks = pieces_of(document), origin.marks
    added = {token["id"]: token for token in document["added_tokens"]}
    special = sorted(id for id, token in added.items() if token["special"] and id not in marks)
    first = (*marks, *special)
    present = {id for id in first if id is not None}
    token_ids = TokenIds(first, len(theirs) + len(first) - len(present), origin.strays)
    own = token_ids.theirs[: token_ids.size - origin.strays]
    ours = {id: place for place, id in enumerate(own)}
    renamed = {added[id]["content"]: _own_name(added[id]["content"], origin.mask) for id in special}
    kept = [theirs[id] for id in own[len(NAMES) :] if id is not None]
    kept += theirs[token_ids.their_size :]
    kept = [renamed.get(piece, piece) for piece in kept]
    if taken := set(kept) & set(NAMES):
        raise TokenizerError(f"tokenizer.json has pieces called {', '.join(sorted(taken))}; rename them.")
    tokens = [_mark(id, name) for id, name in enumerate(NAMES)]
    others = (id for id in (*special, *sorted(added.keys() - set(special))) if id not in marks)
    for id in others:
        content = added[id]["content"]
        tokens.append({**added[id], "id": ours[id], "content": renamed.get(content, content)})
    spec = document["model"].get(SPEC_KEY)
    if spec is None:
        names = tuple("" if id is None else theirs[id] for id in first)
        spec = Imported(
            model=origin.model,
            ids=first,
            names=names,
            mask=origin.mask,
            opens=origin.opens,
            separators=origin.separators,
            strays=origin.strays,
        ).model_dump(mode="json")
    made = _renumbered(document, [*NAMES, *kept], tokens, unknown=UNK)
    made["model"][SPEC_KEY] = spec
    return {**made, "truncation": None, "padding": None, "post_processor": None}, token_ids


def _own_name(name: str, mask: str) -> str:
    """Our name of a special token of theirs that is none of our four, but may be called like one."""
    if name == mask:
        return MASK_NAME
    return f"{name} (another)" if name in NAMES else name


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


def framing(
    document: Document, opening: str | None, end: str | None, separators: int = 1
) -> dict[str, Any] | None:
    """Template that puts special tokens before and after a text, as the library writes it; None for none.

    Between two texts that are read together the ``end`` stands ``separators`` times.
    """
    marks = [name for name in (opening, end) if name is not None]
    if not marks:
        return None
    ids = {piece: id for id, piece in enumerate(pieces_of(document))}
    first, last = ([] if name is None else [name] for name in (opening, end))
    single = [*map(_special, first), {"Sequence": {"id": "A", "type_id": 0}}, *map(_special, last)]
    ending = [{"SpecialToken": {"id": name, "type_id": 1}} for name in last]
    return {
        "type": "TemplateProcessing",
        "single": single,
        "pair": [
            *single,
            *map(_special, last * (separators - 1)),
            {"Sequence": {"id": "B", "type_id": 1}},
            *ending,
        ],
        "special_tokens": {name: {"id": name, "ids": [ids[name]], "tokens": [name]} for name in marks},
    }


def _special(name: str) -> dict[str, Any]:
    return {"SpecialToken": {"id": name, "type_id": 0}}


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
