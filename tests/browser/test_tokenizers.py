"""The page's tokenizer, run by Node: the same ids, pieces and texts as Python's, whatever it is given."""

import io
import json
import random
import re
import tempfile
import unicodedata
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from tokenizers import AddedToken, Regex, decoders, models, normalizers, pre_tokenizers, trainers
from tokenizers import Tokenizer as LibraryTokenizer

from browser.javascript import needs_node
from browser.page_tokenizer import page
from browser.texts import REAL, SNAGS, odd_texts
from whyformer.browser.patterns import PROPERTIES, javascript_pattern
from whyformer.browser.tokenizers import page_tokenizer
from whyformer.data.corpora.cldr.corpus import CldrSpec
from whyformer.data.tokenizers import pre_tokenization
from whyformer.data.tokenizers.kinds import BPE, Character, TokenizerSpec, Unigram, Word, WordPiece
from whyformer.data.tokenizers.text.normalization import TextSpec
from whyformer.data.tokenizers.tokenizer import Document, Tokenizer
from whyformer.errors import TokenizerError
from whyformer.huggingface.tokenizers.classes import in_family
from whyformer.huggingface.tokenizers.conversion import Origin, from_theirs
from whyformer.huggingface.tokenizers.sentencepiece import read_marian

pytestmark = needs_node

# The planes that have characters, and some of those that have none or only private ones.
CODES = [
    *range(0xD800),
    *range(0xE000, 0x34000),
    *range(0x3FF00, 0x40010),
    *range(0xDFFF0, 0xE0200),
    0xF0000,
    0x10FFFF,
]
EVERY = "".join(map(chr, CODES))
LOWERCASE = {"kind": "lowercase"}
NORMALIZERS = {
    "lowercase": normalizers.Lowercase(),
    "NFD": normalizers.NFD(),
    "NFKC": normalizers.NFKC(),
}
# A letter behind which marks go into their order, and a mark that goes before most.
BETWEEN = {"lowercase": ("", ""), "NFD": ("a", "\u0334"), "NFKC": ("", "")}


def found(pattern: str) -> set[int]:
    """The code points that a pattern of the library finds."""
    return set(CODES) - set(map(ord, normalizers.Replace(Regex(pattern), "").normalize_str(EVERY)))


def changed(name: str) -> dict[int, str]:
    """What the library makes of each character that it changes, between the two others."""
    before, after = BETWEEN[name]
    texts = {code: before + chr(code) + after for code in CODES if code != ord("\n")}
    made = NORMALIZERS[name].normalize_str("\n".join(texts.values())).split("\n")
    return {code: new for (code, text), new in zip(texts.items(), made, strict=True) if new != text}


@cache
def unlike() -> dict[str, set[int]]:
    """The code points of which Node and the library know different things, by what that is."""
    kinds = {name: rf"\p{{{name}}}" for name in PROPERTIES} | {"white space": r"\s"}
    steps = {"lowercase": [LOWERCASE], **{form: [{"kind": "form", "form": form}] for form in ("NFD", "NFKC")}}
    answers = page(
        *({"kind": "found", "pattern": javascript_pattern(pattern)} for pattern in kinds.values()),
        *(
            {"kind": "changed", "steps": steps[name], "before": BETWEEN[name][0], "after": BETWEEN[name][1]}
            for name in NORMALIZERS
        ),
        codes=CODES,
    )
    differing = {
        name: found(pattern).symmetric_difference(codes)
        for (name, pattern), codes in zip(kinds.items(), answers, strict=False)
    }
    for name, rows in zip(NORMALIZERS, answers[len(kinds) :], strict=True):
        theirs, ours = {code: made for code, made, _ in rows}, changed(name)
        differing[name] = {code for code in theirs.keys() | ours.keys() if theirs.get(code) != ours.get(code)}
        # What composes a character that one of them does not know is as new as that.
        parts = {ord(part) for code in differing[name] for part in theirs.get(code, "") + ours.get(code, "")}
        differing[name] |= {part for part in parts if is_new(part)}
    return differing


def is_new(code: int) -> bool:
    """Whether Unicode had no such character in 2002, of which year Python keeps the tables."""
    return unicodedata.ucd_3_2_0.category(chr(code)) == "Cn"


# Older characters of another kind now: U+0295 is a letter without case since Unicode 17; the others were
# punctuation and letters in Unicode 8, whose tables BERT's steps have.
MOVED = {0x295}
MOVED_SINCE_BERT = {0x166D, 0x1734, 0x1885, 0x1886}


def test_only_new_characters_are_of_other_kinds_to_the_page():
    assert not unlike()["white space"]
    assert not unlike()["lowercase"] - unlike()["Cn"]
    for name in PROPERTIES:
        assert unlike()[name] <= unlike()["Cn"] | MOVED, name
    for name, codes in unlike().items():
        assert all(is_new(code) for code in codes - MOVED), name


@cache
def texts_of_all_sorts() -> list[str]:
    """Real texts, snags, and odd ones without characters that are too new."""
    too_new = set().union(*unlike().values())
    return [*REAL, *SNAGS, "", *odd_texts(300, seed=1, left_out=too_new)]


@cache
def phrases() -> list[str]:
    """The embedded corpus."""
    pairs = CldrSpec(pairs=4000).build().valid
    return [side for pair in pairs[:400] for side in (pair.source, pair.target)]


def forms(**settings: Any) -> TextSpec:
    return TextSpec.model_validate(settings)


RAW = forms(unicode="none", spaces="keep", invisible="keep")
MASK = ("[MASK]", "<mask>")
KINDS: list[TokenizerSpec] = [
    BPE(vocabulary=1000),
    BPE(vocabulary=1000, text=RAW, specials=MASK),
    BPE(vocabulary=1000, split="spaces", text=forms(spaces="plain"), lowercase=True),
    BPE(vocabulary=1000, text=forms(unicode="nfkc"), byte_fallback=False, coverage=0.98),
    Unigram(vocabulary=1200),
    Unigram(vocabulary=1200, split="spaces", text=RAW, specials=MASK),
    Unigram(vocabulary=1200, lowercase=True, text=forms(unicode="nfkc", spaces="plain"), coverage=0.9),
    Unigram(vocabulary=1200, byte_fallback=False, coverage=0.9),
    WordPiece(vocabulary=1400),
    WordPiece(vocabulary=1400, split="spaces", lowercase=True, specials=MASK),
    WordPiece(vocabulary=1400, text=RAW, criterion="frequency"),
    Word(vocabulary=1000),
    Word(split="spaces", text=RAW, specials=MASK),
    Character(),
    Character(text=forms(invisible="keep", spaces="keep"), byte_fallback=False, specials=MASK),
    Character(coverage=0.9, lowercase=True, nfc=True, text=forms(unicode="none")),
]


def rows_of(tokenizer: Tokenizer, count: int) -> list[list[int]]:
    """Ids as a model may write them, bytes above all, of which many form no text."""
    drawn = random.Random(2)
    low = min(260, tokenizer.size)
    return [
        [drawn.randrange(drawn.choice((low, tokenizer.size))) for _ in range(drawn.randrange(12))]
        for _ in range(count)
    ]


def check_all(tokenizers: Sequence[Tokenizer], texts: Sequence[str]) -> None:
    """Ids, pieces and texts of all are the same in Python and in the page."""
    rows = [rows_of(tokenizer, 60) for tokenizer in tokenizers]
    jobs = (
        {"kind": "cut", "data": page_tokenizer(tokenizer), "texts": texts, "rows": some}
        for tokenizer, some in zip(tokenizers, rows, strict=True)
    )
    for tokenizer, some, answer in zip(tokenizers, rows, page(*jobs), strict=True):
        assert answer["size"] == tokenizer.size
        for text, made in zip(texts, answer["texts"], strict=True):
            ids = tokenizer.encode(text)
            assert made == [ids, tokenizer.tokens(ids), tokenizer.decode(ids)], (tokenizer.spec, text)
        assert answer["rows"] == tokenizer.decode_all(some)


@pytest.fixture(scope="module")
def trained() -> list[Tokenizer]:
    lines = [*phrases(), *REAL * 3]
    return [spec.train(lines) for spec in KINDS]


def test_every_kind_cuts_in_the_page_as_in_python(trained: list[Tokenizer]):
    check_all(trained, [*texts_of_all_sorts(), *phrases()[:200]])


def test_long_texts_of_anything_are_cut_in_the_page_too(trained: list[Tokenizer]):
    ends = [
        "a",
        "é",
        "ab",
        "a ",
        "日",
        "1",
        ".",
        "'",
        "a'",
        " ",
        "\n",
        "\u3000",
        "</s>",
        "\u0301",
        "😀",
        "\U000e0041",
    ]
    check_all(trained[::3], ["x" + end * (10_000 // len(end)) + "x" for end in ends])


def with_part(spec: TokenizerSpec, **parts: Any) -> Tokenizer:
    """A tokenizer in whose file something else stands."""
    document = json.loads(json.dumps(spec.train(REAL).document))
    for path, value in parts.items():
        *places, last = path.split("__")
        inner = document
        for place in places:
            inner = inner[place]
        inner[last] = value
    return Tokenizer(document)


def random_pieces(seed: int) -> list[str]:
    """Many strings of few letters, the longest of all in front."""
    drawn = random.Random(seed)
    found = {"".join(drawn.choices("abcd", k=drawn.randint(1, 4))) for _ in range(120)}
    return ["<pad>", "<unk>", "<s>", "</s>", "abcdabcd", *sorted(found - {"a", "abcdabcd"})]


def test_where_many_pieces_compete_the_page_takes_those_that_python_takes():
    drawn = random.Random(5)
    pieces = random_pieces(6)
    known = [*pieces, *(letter for letter in "abcd" if letter not in pieces)]
    pairs = [(left, right) for left in known[5:] for right in known[5:] if left + right in known]
    bpe = {"vocab": {piece: id for id, piece in enumerate(known)}, "merges": drawn.sample(pairs, len(pairs))}
    scores = [
        [[piece, -float(drawn.choice(some))] for piece in pieces] for some in ((1, 2), range(1, 30), (4,))
    ]
    raw = {"normalizer": None, "pre_tokenizer": None}
    tokenizers = [
        with_part(BPE(vocabulary=500), **raw, model__vocab=bpe["vocab"], model__merges=bpe["merges"]),
        *(with_part(Unigram(vocabulary=500), **raw, model__vocab=some) for some in scores),
    ]
    check_all(tokenizers, ["".join(drawn.choices("abcde", k=drawn.randrange(30))) for _ in range(1500)])


def test_names_of_bytes_that_only_the_library_knows_are_read_in_the_page_too(
    monkeypatch: pytest.MonkeyPatch,
):
    # Files of older versions have such pieces, as they were not cut then.
    monkeypatch.setattr(pre_tokenization, "spelled_special_pattern", lambda _: "<(?=0x[0-9A-F]{2}>)")
    spec = BPE(vocabulary=300, split="spaces")
    spelled = [f"{letter}<0x{byte}> say" for letter in "abcdefgh" for byte in ("ab", "+a", "-a", "E9")]
    tokenizer = spec.train(spelled * 20)
    assert {"<0xab>", "<0x+a>", "<0x-a>"} <= {*tokenizer.pieces}
    check_all([tokenizer], ["z<0xab>", "z<0x+a>", "z<0x-a>", "z<0xE9>", "a<0xab><0xab>"])


def test_a_file_of_an_older_library_cuts_in_the_page_too():
    document = json.loads(json.dumps(gpt2(space=False).document))
    model = document["model"]
    model["merges"] = [" ".join(pair) for pair in model["merges"]]
    del model["byte_fallback"], model["ignore_merges"], document["pre_tokenizer"]["use_regex"]
    check_all([Tokenizer(document)], REAL)


def test_steps_that_come_with_files_of_others_are_the_same_in_the_page():
    split = {"type": "Split", "invert": False}
    letters, spaces = {"Regex": r"[a-zé]+"}, {"String": " "}
    mark = {"type": "WordPiece", "prefix": "a", "cleanup": False}
    shown = {"type": "Metaspace", "replacement": "▁", "split": False}
    parts: list[dict[str, Any]] = [
        {"normalizer": {"type": "Strip", "strip_left": True, "strip_right": False}},
        {"normalizer": {"type": "Strip", "strip_left": False, "strip_right": True}},
        {"normalizer": {"type": "Strip", "strip_left": False, "strip_right": False}},
        *({"normalizer": {"type": form}} for form in ("NFD", "NFKD")),
        {"normalizer": {"type": "Prepend", "prepend": "a$&"}},
        {"normalizer": {"type": "Replace", "pattern": spaces, "content": "▁"}},
        *(
            {"pre_tokenizer": {**split, "pattern": letters, "behavior": how}}
            for how in ("Removed", "Isolated")
        ),
        {"pre_tokenizer": {**split, "pattern": spaces, "behavior": "MergedWithPrevious"}},
        {"decoder": {"type": "Strip", "content": "a", "start": 2, "stop": 0}},
        {"decoder": {"type": "Strip", "content": "a", "start": 0, "stop": 0}},
        *({"decoder": {**shown, "prepend_scheme": scheme}} for scheme in ("always", "never", "first")),
        {"decoder": mark},
        {"decoder": {**mark, "cleanup": True}},
    ]
    ends = [f"{end}a b{end}" for end in ("\x85", "\ufeff", "\n \u3000", "\x1c", "a", "t")]
    check_all(
        [with_part(BPE(vocabulary=500), **part) for part in parts], [*ends, "▁a▁ ▁", *texts_of_all_sorts()]
    )


def imported(document: Document, marks: tuple[int | None, ...]) -> Tokenizer:
    """``document`` as it is after an import."""
    added = {token["content"]: token["id"] for token in document["added_tokens"]}
    document["model"]["vocab"] |= added
    return Tokenizer(from_theirs(document, Origin("some", marks))[0])


def gpt2(*, space: bool) -> Tokenizer:
    """A tokenizer like GPT-2's, with tokens more that are text, some of them looked for in normal form."""
    made = LibraryTokenizer(models.BPE())
    made.normalizer = normalizers.Sequence([normalizers.NFC(), normalizers.Lowercase()])
    made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=space)
    made.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=600,
        special_tokens=["<|endoftext|>", "men are outside", "<mask>"],
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    made.train_from_iterator(REAL * 3, trainer)
    made.add_tokens([AddedToken(text, normalized=True) for text in ("Little", "lit", "the")])
    made.add_tokens([AddedToken(text, normalized=False) for text in ("g men are", "★ été", "Two", "<mask>>")])
    return imported(json.loads(made.to_str()), (None, None, 0, 0))


def bert(**flags: bool | None) -> Tokenizer:
    """A tokenizer like BERT's."""
    letters = sorted({*"".join(REAL), *unicodedata.normalize("NFD", "".join(REAL).lower())} - {" "})
    marks = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
    pieces = [
        *marks,
        *letters,
        *(f"##{letter}" for letter in letters),
        "the",
        "##ing",
        "men",
        "won",
        "do",
        "not",
    ]
    vocabulary = {piece: id for id, piece in enumerate(dict.fromkeys(pieces))}
    made = LibraryTokenizer(models.WordPiece(vocabulary, unk_token="[UNK]"))
    made.add_special_tokens([AddedToken(mark, special=True, normalized=False) for mark in marks])
    document = in_family(json.loads(made.to_str()), "bert", flags)
    return imported(document, (0, 1, 2, 3))


def marian(normalization: str) -> Tokenizer:
    """A tokenizer like Marian's, whose SentencePiece file knows ``normalization``."""
    sentencepiece = pytest.importorskip(
        "sentencepiece", reason="needs: pip install 'whyformer[sentencepiece]'"
    )
    file = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(REAL * 3),
        model_writer=file,
        vocab_size=200,
        hard_vocab_limit=False,
        character_coverage=0.98,
        normalization_rule_name=normalization,
        user_defined_symbols=["young men", "small"],
        minloglevel=2,
    )
    pieces = sentencepiece.SentencePieceProcessor(model_proto=file.getvalue())
    names = [pieces.id_to_piece(id) for id in range(3, pieces.get_piece_size() - 9)]
    table = ["</s>", "<unk>", *names, "漢字", ">>de<<", ">>d<<", "<pad>"]
    with tempfile.TemporaryDirectory() as path:
        for name in ("source.spm", "target.spm"):
            (Path(path) / name).write_bytes(file.getvalue())
        ids = {piece: id for id, piece in enumerate(table)}
        (Path(path) / "vocab.json").write_text(json.dumps(ids), encoding="utf-8")
        made = read_marian(Path(path), {})
    origin = Origin("marian", (len(table) - 1, 1, None, 0), strays=made.strays[0])
    return Tokenizer(from_theirs(made.source, origin)[0])


def test_the_tokenizers_of_others_cut_in_the_page_as_in_python():
    more = [
        ">>de<< Two men",
        "a >>d<<>>de<<x",
        "small young men",
        "LITTLE little lit",
        "<mask>>",
        "漢字 漢",
        "",
        " ▁ ",
    ]
    texts = [*more, *texts_of_all_sorts()]
    check_all([gpt2(space=False), gpt2(space=True), marian("identity")], texts)


def test_berts_tokenizer_cuts_in_the_page_as_in_python_but_for_what_its_tables_lack():
    assert all(is_new(code) for codes in unlike_to_bert().values() for code in codes - MOVED_SINCE_BERT)
    too_new = set().union(*unlike().values(), *unlike_to_bert().values())
    texts = [text for text in texts_of_all_sorts() if too_new.isdisjoint(map(ord, text))]
    texts += odd_texts(300, seed=3, left_out=too_new)
    flags = [{}, {"do_lower_case": False}, {"do_lower_case": False, "strip_accents": True}]
    check_all(
        [bert(**each) for each in [*flags, {"tokenize_chinese_chars": False, "strip_accents": False}]], texts
    )


@cache
def unlike_to_bert() -> dict[str, set[int]]:
    """The code points that BERT's steps of the library and the page take for different."""
    names = {"P": "punctuation", "Mn": "marks", "C": "controls"}
    answers = page(*({"kind": "found", "pattern": rf"\p{{{name}}}"} for name in names), codes=CODES)
    punctuation, marks, controls = map(set, answers)
    # Between letters a mark of punctuation stands alone.
    alone = pre_tokenizers.BertPreTokenizer().pre_tokenize_str("a".join(f"a{EVERY}a"))
    ascii_signs = {code for code in range(0x21, 0x7F) if not chr(code).isalnum()}
    off = {"clean_text": False, "handle_chinese_chars": False, "strip_accents": False, "lowercase": False}
    bare = normalizers.BertNormalizer(**{**off, "strip_accents": True}).normalize_str(EVERY)
    whole = {code for code in CODES if unicodedata.normalize("NFD", chr(code)) == chr(code)}
    clean = normalizers.BertNormalizer(**{**off, "clean_text": True}).normalize_str(EVERY)
    spaces = found(r"\s")
    return {
        "P": {ord(word) for word, _ in alone if len(word) == 1 and word != "a"} ^ (punctuation | ascii_signs),
        "Mn": (whole - set(map(ord, bare))) ^ (marks & whole),
        "C": (set(CODES) - set(map(ord, clean)) - spaces)
        ^ ((controls - found(r"\p{Cn}") - spaces) | {0xFFFD}),
    }


SPLIT = {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated", "invert": False}


@pytest.mark.parametrize(
    ("parts", "field"),
    [
        ({"normalizer": {"type": "Nmt"}}, "normalizer (Nmt)"),
        (
            {"normalizer": {"type": "Sequence", "normalizers": [{"type": "NFC"}, {"type": "StripAccents"}]}},
            "normalizer.normalizers.1 (StripAccents)",
        ),
        ({"pre_tokenizer": {**SPLIT, "invert": True}}, "pre_tokenizer.invert"),
        ({"pre_tokenizer": {**SPLIT, "behavior": "Contiguous"}}, "pre_tokenizer.behavior"),
        (
            {"pre_tokenizer": {**SPLIT, "pattern": {"Regex": r"a|\bc"}}},
            r"pre_tokenizer.pattern.Regex (\bc)",
        ),
        ({"pre_tokenizer": {"type": "Whitespace"}}, "pre_tokenizer (Whitespace)"),
        ({"decoder": None}, "decoder (None)"),
        (
            {"decoder": {"type": "CTC", "pad_token": "a", "word_delimiter_token": "b", "cleanup": True}},
            "decoder (CTC)",
        ),
        ({"decoder": {"type": "Strip", "content": "a", "start": 0, "stop": 1}}, "decoder.stop"),
        ({"model__ignore_merges": True}, "model.ignore_merges"),
        ({"model__fuse_unk": True}, "model.fuse_unk"),
        ({"model__dropout": 0.1}, "model.dropout"),
        (
            {"truncation": {"direction": "Right", "max_length": 9, "strategy": "LongestFirst", "stride": 0}},
            "truncation",
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_what_a_page_cannot_do_is_refused_by_field(parts: dict[str, Any], field: str):
    with pytest.raises(TokenizerError, match=re.escape(f"this tokenizer's {field} says")):
        page_tokenizer(with_part(BPE(vocabulary=500), **parts))


@pytest.mark.parametrize("field", ["single_word", "lstrip", "rstrip"])
def test_a_word_that_is_never_cut_stands_for_its_letters_alone(field: str):
    document = gpt2(space=False).document
    (id,) = (token["id"] for token in document["added_tokens"] if token["content"] == "Two")
    added = [{**token, field: token[field] or token["id"] == id} for token in document["added_tokens"]]
    with pytest.raises(TokenizerError, match=rf"this tokenizer's added_tokens\.{id}\.{field} says"):
        page_tokenizer(Tokenizer({**document, "added_tokens": added}))


def test_a_token_that_the_model_does_not_have_is_refused():
    document = gpt2(space=False).document
    added = [*document["added_tokens"], {**document["added_tokens"][-1], "id": 609, "content": "more"}]
    with pytest.raises(TokenizerError, match=r"this tokenizer's model\.vocab says"):
        page_tokenizer(Tokenizer({**document, "added_tokens": added}))


def test_a_map_of_characters_is_refused():
    with pytest.raises(TokenizerError, match=r"normalizer\.normalizers\.1 \(Precompiled\)"):
        page_tokenizer(marian("nmt_nfkc"))


def test_half_a_character_and_ids_of_others_are_refused_in_the_page_too(trained: list[Tokenizer]):
    tokenizer = trained[0]
    job = {"texts": ["a\ud800", "\udc00\ud800", "😀"], "rows": [[tokenizer.size], [4, -1]]}
    (answer,) = page({"kind": "cut", "data": page_tokenizer(tokenizer), **job})
    assert answer["texts"][:2] == [{"error": "fault surrogate"}] * 2
    assert answer["texts"][2][2] == "😀"
    assert all("RangeError" in row["error"] for row in answer["rows"])
