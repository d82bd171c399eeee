"""The tokenizer files of a Hugging Face folder, in one form: that of the tokenizers library.

What counts is what ``AutoTokenizer`` of transformers 5 makes of them: a class of theirs takes the pieces from
the files, and cuts by its own rules and by the flags of tokenizer_config.json.
"""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

from whyformer.data.tokenizers.imported import MASK_NAME
from whyformer.data.tokenizers.tokenizer import Document
from whyformer.errors import TokenizerError
from whyformer.huggingface.tokenizers.classes import DEFAULT_ROLES, OF_MODEL, Family, family_of, in_family
from whyformer.huggingface.tokenizers.conversion import pieces_of
from whyformer.huggingface.tokenizers.json_files import read_object
from whyformer.huggingface.tokenizers.sentencepiece import read_marian

Say = Callable[[str], object]
_TOLD = "tokenizer_config.json"
_BYTE_PAIRS = ("vocab.json", "merges.txt")


class Side(NamedTuple):
    """One tokenizer of theirs."""

    document: Document
    """The file of the tokenizers library."""
    roles: Mapping[str, int]
    """Ids of tokens with a role, such as ``pad_token``."""
    strays: int = 0
    """Number of last pieces that are the unknown token to the model."""
    mask: str = MASK_NAME
    """Name of the token that hides another."""


class Foreign(NamedTuple):
    """Tokenizer or tokenizers of a model."""

    target: Side
    """The one that all texts are cut by, or those that are written."""
    opening: int | None
    """Token that it puts in front of a text."""
    source: Side | None = None
    """The one that sources are cut by, if that is another."""
    one_vocabulary: bool = True
    """Whether both sides have the same ids."""


def read_foreign(folder: Path, config: Mapping[str, Any], say: Say) -> Foreign:
    """The tokenizer of the model of ``config`` in ``folder``.

    Raises:
        TokenizerError: there is none, it cannot be read, or it cuts texts in a way that we do not know.
    """
    told = _settings(folder)
    model = str(config["model_type"])
    family = family_of(told.get("tokenizer_class") or config.get("tokenizer_class"), model, told, folder)
    if family == "marian" and (folder / "source.spm").is_file():
        spm = read_marian(folder, told)
        one = spm.one_vocabulary and spm.source == spm.target
        source = None if one else Side(spm.source, _roles(spm.source, family, told), spm.strays[0])
        return Foreign(
            Side(spm.target, _roles(spm.target, family, told), spm.strays[1]),
            opening=None,
            source=source,
            one_vocabulary=spm.one_vocabulary,
        )
    if family == "gpt2" and not _has_own_files(folder) and (folder / "vocab.txt").is_file():
        family = "bert"
        say("the only tokenizer file is vocab.txt, so texts are cut as BERT's tokenizer cuts them")
    document = _with_added(_document(folder, family, told, say), folder, family, told)
    naming = OF_MODEL[model] if family == "json" else family
    roles = _roles(document, naming, told)
    mask = _name(_named(naming, told).get("mask_token", MASK_NAME))
    whole = (folder / "tokenizer.json").is_file()
    opening = _opening(document, family, told, roles, whole=whole)
    if whole and told.get("add_bos_token") and opening is None:
        say("add_bos_token is true, but tokenizer.json puts nothing before a text, and that counts")
    return Foreign(Side(document, roles, mask=mask), opening)


def _settings(folder: Path) -> dict[str, Any]:
    """tokenizer_config.json, and the older special_tokens_map.json where it does not list added tokens."""
    told = read_object(folder / _TOLD) if (folder / _TOLD).is_file() else dict[str, Any]()
    special = folder / "special_tokens_map.json"
    if "added_tokens_decoder" not in told and special.is_file():
        told |= read_object(special)
    return told


def _has_own_files(folder: Path) -> bool:
    return (folder / "tokenizer.json").is_file() or (folder / "vocab.json").is_file()


def _document(folder: Path, family: Family, told: Mapping[str, Any], say: Say) -> Document:
    """The folder's vocabulary as a tokenizer of ``family`` cuts texts by it."""
    if (folder / "tokenizer.json").is_file():
        document = read_object(folder / "tokenizer.json")
        pieces_of(document)
        made = in_family(document, family, told)
        for part in ("normalizer", "pre_tokenizer"):
            if not _alike(made.get(part), document.get(part)):
                say(
                    f"tokenizer.json has another {part} than the class that tokenizer_config.json or the "
                    "model names; as in transformers the class counts, and the flags of tokenizer_config.json"
                )
        return made
    if family == "bert" and (folder / "vocab.txt").is_file():
        model = {"type": "WordPiece", "vocab": word_pieces(folder / "vocab.txt")}
    elif family in ("gpt2", "roberta") and all((folder / name).is_file() for name in _BYTE_PAIRS):
        model = {"type": "BPE", **_byte_pairs(folder / "vocab.json", folder / "merges.txt")}
    else:
        for found, missing in (_BYTE_PAIRS, _BYTE_PAIRS[::-1]):
            if family in ("gpt2", "roberta") and (folder / found).is_file():
                raise TokenizerError(
                    f"{folder}: has {found} but no {missing}, which belongs to it; restore it."
                )
        raise TokenizerError(f"{folder}: has no tokenizer.json; save the tokenizer in that form.")
    blank = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [],
        "post_processor": None,
    }
    return in_family({**blank, "model": model}, family, told)


def _alike(made: Any, given: Any) -> bool:
    """Whether two parts of a tokenizer file cut alike, as far as their settings tell."""
    if not isinstance(made, dict) or not isinstance(given, dict):
        return made == given
    defaults = {"use_regex": True, "trim_offsets": True, "clean_text": True}
    one, other = ({**defaults, **part, "trim_offsets": True} for part in (made, given))
    return one == other


def word_pieces(path: Path) -> dict[str, int]:
    """The pieces of a vocab.txt by their ids. Only a line feed ends a line: other separators are pieces.

    Raises:
        TokenizerError: it is not UTF-8, or a piece stands on two lines.
    """
    try:
        lines = path.read_bytes().decode("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{path}: cannot be read as UTF-8 ({error}); restore it.") from None
    if not lines[-1]:
        lines.pop()
    found = dict[str, int]()
    for id, line in enumerate(lines):
        piece = line.removesuffix("\r") or line
        if piece in found:
            raise TokenizerError(
                f"{path}: the piece {piece!r} stands on lines {found[piece] + 1} and {id + 1}, but a piece "
                "has one id; rename or remove one of them, as the model was trained."
            )
        found[piece] = id
    return found


def _byte_pairs(vocabulary: Path, merges: Path) -> dict[str, Any]:
    try:
        lines = merges.read_bytes().decode("utf-8").split("\n")
    except (OSError, ValueError) as error:
        raise TokenizerError(f"{merges}: cannot be read as UTF-8 ({error}); restore it.") from None
    kept = [line.removesuffix("\r") for line in lines if line.strip() and not line.startswith("#version")]
    return {"vocab": read_object(vocabulary), "merges": [line.split(" ") for line in kept]}


def _with_added(document: Document, folder: Path, family: Family, told: Mapping[str, Any]) -> Document:
    """``document`` with the tokens that other files add, and with special ones marked as such."""
    added = {token["id"]: token for token in document["added_tokens"]}
    special = {_name(value) for role, value in _named(family, told).items() if role.endswith("_token")}
    special |= {_name(value) for value in told.get("additional_special_tokens") or []}
    more: list[tuple[int, dict[str, Any]]] = []
    if "added_tokens_decoder" in told:
        more += [(int(id), dict(token)) for id, token in told["added_tokens_decoder"].items()]
    elif (folder / "added_tokens.json").is_file():
        vocabulary = document["model"]["vocab"]
        for content, id in read_object(folder / "added_tokens.json").items():
            # A piece that the vocabulary has keeps its id there, and is taken whole from now on.
            id = vocabulary.get(content, id) if isinstance(vocabulary, dict) else id
            is_special = content in special
            more.append((id, {"content": content, "normalized": not is_special, "special": is_special}))
    if not (folder / "tokenizer.json").is_file():
        # What has a role is matched as it is written, with the settings that come with its name.
        ids = {piece: id for piece, id in document["model"]["vocab"].items() if piece in special}
        settings = {_name(value): value for value in told.values() if isinstance(value, dict)}
        given = {name: settings.get(name, {}) for name in ids}
        more = [(ids[name], {**given[name], "content": name, "special": True}) for name in ids] + more
    plain = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False, "special": False}
    for id, token in more:
        if id not in added:
            added[id] = {
                "id": id,
                **plain,
                **{key: token[key] for key in token if key in (*plain, "content")},
            }
    return {**document, "added_tokens": [added[id] for id in sorted(added)]}


def _named(family: Family, told: Mapping[str, Any]) -> dict[str, Any]:
    """Names of the tokens with a role, as the class has them where nothing else is told."""
    return {**DEFAULT_ROLES[family], **{role: value for role, value in told.items() if value is not None}}


def _roles(document: Document, family: Family, told: Mapping[str, Any]) -> dict[str, int]:
    ids = {piece: id for id, piece in enumerate(pieces_of(document))}
    named = {role: _name(value) for role, value in _named(family, told).items() if role.endswith("_token")}
    return {role: ids[name] for role, name in named.items() if name in ids}


def _opening(
    document: Document, family: Family, told: Mapping[str, Any], roles: Mapping[str, int], *, whole: bool
) -> int | None:
    """The token that the tokenizer puts in front of a text; a ``whole`` tokenizer.json says it itself."""
    if family in ("bert", "roberta"):
        return roles.get("cls_token")
    if not whole:
        return roles.get("bos_token") if told.get("add_bos_token") else None
    ids = {piece: id for id, piece in enumerate(pieces_of(document))}
    name = _first_of(document.get("post_processor"))
    return None if name is None else ids.get(name)


def _first_of(processor: Any) -> str | None:
    match processor:
        case {"type": "Sequence", "processors": [*processors]}:
            return next((name for each in processors if (name := _first_of(each)) is not None), None)
        case {"type": "TemplateProcessing", "single": [{"SpecialToken": {"id": str(name)}}, *_]}:
            return name
        case {"type": "BertProcessing" | "RobertaProcessing", "cls": [str(name), _]}:
            return name
        case _:
            return None


def _name(value: Any) -> str:
    """The name of a token, which may come with settings."""
    return str(value.get("content") if isinstance(value, dict) else value)
