import json
import os
import pickle
import subprocess
import sys
import unicodedata
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import pytest
import tokenizers
from hypothesis import example, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from browser.texts import SENTENCES
from whyformer import special_tokens
from whyformer.data.corpora.lines import read_lines
from whyformer.data.tokenizers.imported import Imported
from whyformer.data.tokenizers.kinds import BPE, Character, TokenizerSpec, Unigram, Word, WordPiece
from whyformer.data.tokenizers.pair import JointTokenizer, SeparateTokenizers, TokenizerPair
from whyformer.data.tokenizers.text.normalization import TextSpec
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.errors import TokenizerError

LINES = [*SENTENCES] * 4

# Text as it is: what comes in comes out.
RAW = TextSpec(unicode="none", spaces="keep", invisible="keep")
EVERY_TEXT: list[TokenizerSpec] = [
    BPE(text=RAW, vocabulary=500),
    BPE(text=RAW, vocabulary=500, split="spaces", specials=("[MASK]", "<mask>")),
    Unigram(text=RAW, vocabulary=500),
    Unigram(text=RAW, vocabulary=500, split="spaces", specials=("[MASK]",)),
    Character(text=RAW),
    Character(text=RAW, coverage=0.9, specials=("[MASK]",)),
]
KNOWN_TEXT: list[TokenizerSpec] = [
    BPE(text=RAW, vocabulary=500, byte_fallback=False),
    Unigram(text=RAW, vocabulary=500, byte_fallback=False, split="spaces"),
    Character(text=RAW, byte_fallback=False),
    WordPiece(text=RAW, vocabulary=500, coverage=1.0),
    WordPiece(text=RAW, vocabulary=500, coverage=1.0, split="spaces", specials=("[MASK]",)),
    Word(text=RAW),
    Word(text=RAW, split="spaces", specials=("[MASK]",)),
]
ALL = [*EVERY_TEXT, *KNOWN_TEXT]

SNAGS = [
    "</s>",
    "<s>",
    "<pad>",
    "<unk>",
    "[MASK]",
    "<mask>",
    "<0x41>",
    "▁",
    " ",
    "  ",
    "\n",
    "\r\n",
    "\t",
    "##",
    "##a",
    "\u3000",
    "\u2028",
    "e\u0301",
    "😀",
    "👩\u200d🔬",
    "好",
    "Männer",
    "don't",
    "2024",
    "\u0000",
    "\ufeff",
]
texts = st.one_of(
    st.text(max_size=40),
    st.lists(st.one_of(st.sampled_from(SNAGS), st.text(max_size=4)), max_size=12).map("".join),
)


MADE: dict[str, Tokenizer] = {}


def trained(spec: TokenizerSpec) -> Tokenizer:
    key = spec.model_dump_json()
    if key not in MADE:
        MADE[key] = spec.train(LINES)
    return MADE[key]


def each(specs: list[TokenizerSpec]) -> Callable[[Callable[..., None]], Callable[..., None]]:
    return pytest.mark.parametrize("spec", specs, ids=[f"{spec.kind}-{i}" for i, spec in enumerate(specs)])


@each(EVERY_TEXT)
@given(text=texts)
@settings(max_examples=150, deadline=None)
def test_every_text_comes_back(spec: TokenizerSpec, text: str) -> None:
    tokenizer = trained(spec)
    ids = tokenizer.encode(text)
    assert tokenizer.decode(ids) == text
    assert special_tokens.UNK not in ids


@each(KNOWN_TEXT)
@given(text=texts)
@settings(max_examples=100, deadline=None)
def test_without_bytes_a_text_comes_back_or_shows_what_is_unknown(spec: TokenizerSpec, text: str) -> None:
    tokenizer = trained(spec)
    ids = tokenizer.encode(text)
    if special_tokens.UNK in ids:
        assert "<unk>" in tokenizer.decode(ids)
    else:
        assert tokenizer.decode(ids) == text


@each([spec for spec in KNOWN_TEXT if spec.kind != "word"])
@given(text=st.text(alphabet=sorted({*"".join(LINES)}), max_size=60))
@settings(max_examples=100, deadline=None)
def test_known_characters_in_any_order_come_back(spec: TokenizerSpec, text: str) -> None:
    tokenizer = trained(spec)
    if spec.kind in ("bpe", "unigram"):
        # Their default coverage leaves out the rarest characters.
        text = "".join(character for character in text if character in "".join(tokenizer.pieces))
    assert tokenizer.decode(tokenizer.encode(text)) == text


@each(ALL)
@given(text=texts)
@settings(max_examples=60, deadline=None)
def test_no_text_becomes_a_special_token(spec: TokenizerSpec, text: str) -> None:
    tokenizer = trained(spec)
    forbidden = {
        special_tokens.PAD,
        special_tokens.BOS,
        special_tokens.EOS,
        *map(tokenizer.special, spec.specials),
    }
    assert not forbidden & set(tokenizer.encode(text))


@each(
    [
        BPE(vocabulary=400, split="spaces"),
        Unigram(vocabulary=400, split="spaces"),
        WordPiece(split="spaces"),
        Word(),
    ]
)
def test_no_special_token_is_learned_from_a_text_full_of_its_name(spec: TokenizerSpec) -> None:
    tokenizer = spec.train(["a </s> b </s> </s>c <0x41> <unk>"] * 50)
    assert len(set(tokenizer.pieces)) == tokenizer.size
    ids = tokenizer.encode("</s> <0x41> </s>c")
    assert not {special_tokens.PAD, special_tokens.UNK, special_tokens.BOS, special_tokens.EOS} & set(ids)
    assert tokenizer.decode(ids) == "</s> <0x41> </s>c"


@pytest.mark.parametrize("name", ["<0xab>", "<0xE9>", "<0xeA>", "<0x+a>"])
@pytest.mark.parametrize("split", ["words", "spaces"])
def test_text_that_names_a_byte_comes_back(name: str, split: Literal["words", "spaces"]):
    # Often enough to become a piece, which the library would read as a byte: it takes small letters, too.
    lines = [f"{letter}{name} {letter} say" for letter in "abcdefghijkl"] * 20
    tokenizer = BPE(vocabulary=300, split=split).train(lines)
    assert tokenizer.decode(tokenizer.encode(f"z{name} {name}")) == f"z{name} {name}"


@each(ALL)
def test_many_at_once_equal_one_by_one(spec: TokenizerSpec) -> None:
    tokenizer = trained(spec)
    some = ["", " ", "Zwei Männer", "没有 hats", "unseen 😀", *LINES[:7]]
    together = tokenizer.encode_all(some)
    assert together == [tokenizer.encode(text) for text in some]
    assert tokenizer.decode_all(together) == [tokenizer.decode(ids) for ids in together]
    assert tokenizer.encode_all([]) == []
    assert tokenizer.decode_all([]) == []


def test_tokenised_text_keeps_its_entities_whole() -> None:
    lines = ["it &apos;s a well @-@ known dog .", "she &apos;s here"] * 5
    tokenizer = BPE(vocabulary=400, split="spaces").train(lines)
    assert tokenizer.tokens(tokenizer.encode("it &apos;s"))[-1] == "▁&apos;s"
    assert [tokenizer.decode(ids) for ids in tokenizer.encode_all(lines)] == lines


def test_digits_and_punctuation_stand_alone_in_raw_text() -> None:
    tokenizer = BPE(vocabulary=400).train(["in 2024, yes!", "in 2024, no!"] * 20)
    assert tokenizer.tokens(tokenizer.encode("in 2024, yes!")) == [
        "▁in",
        "▁2",
        "0",
        "2",
        "4",
        ",",
        "▁yes",
        "!",
    ]


def test_a_first_word_equals_the_same_word_elsewhere_but_not_in_scripts_without_spaces() -> None:
    tokenizer = trained(WordPiece(vocabulary=500, coverage=1.0))
    assert tokenizer.encode("men") == tokenizer.encode("men men")[:1] == tokenizer.encode("men men")[1:]
    assert tokenizer.tokens(tokenizer.encode("女孩")) == ["女", "孩"]


def test_lower_case_and_composition() -> None:
    tokenizer = Character(lowercase=True, nfc=True, text=RAW).train(LINES)
    text = unicodedata.normalize("NFD", "Weiße MÄNNER")
    assert tokenizer.decode(tokenizer.encode(text)) == "weiße männer"
    apart = trained(Character(text=RAW))
    assert apart.decode(apart.encode(text)) == text


def test_rare_characters_are_spelled_in_bytes() -> None:
    lines = ["aaaa bbbb aaaa bbbb"] * 50 + ["é"]
    rare = BPE(vocabulary=300, coverage=0.99).train(lines)
    assert rare.tokens(rare.encode("é")) == ["▁", "<0xC3>", "<0xA9>"]
    assert "é" in BPE(vocabulary=300, coverage=1.0).train(lines).pieces


@each(ALL)
def test_size_and_fixed_ids(spec: TokenizerSpec) -> None:
    tokenizer = trained(spec)
    assert tuple(tokenizer.pieces[:4]) == special_tokens.NAMES
    assert (tokenizer.pad, tokenizer.unknown, tokenizer.start, tokenizer.end) == (0, 1, 2, 3)
    assert [tokenizer.special(special) for special in spec.specials] == list(range(4, 4 + len(spec.specials)))
    assert tokenizer.size == len(tokenizer.pieces) == len(set(tokenizer.pieces))
    if not isinstance(spec, Character | Imported):
        assert tokenizer.size <= spec.vocabulary
    learned = [tokenizer.pieces[id] for id in tokenizer.learned_ids]
    assert learned
    assert not {*special_tokens.NAMES, *spec.specials, "<0x00>", "<0xFF>"} & {*learned}


def test_special_tokens_are_not_spoken_but_the_unknown_one_is_seen() -> None:
    tokenizer = trained(Word())
    men = tokenizer.encode("young men")
    assert tokenizer.decode([special_tokens.BOS, *men, special_tokens.EOS, special_tokens.PAD]) == "young men"
    assert tokenizer.decode([men[0], special_tokens.UNK, men[1]]) == "young <unk> men"
    masked = trained(Word(split="spaces", specials=("[MASK]",)))
    assert masked.decode([masked.special("[MASK]"), *masked.encode("young")]) == "young"
    with pytest.raises(TokenizerError, match=r"\[MASK\]"):
        tokenizer.special("[MASK]")


@pytest.mark.parametrize("id", [-1, 100_000])
def test_ids_of_another_tokenizer_are_refused(id: int) -> None:
    tokenizer = trained(Character())
    with pytest.raises(TokenizerError, match=str(id)):
        tokenizer.decode([4, id])
    with pytest.raises(TokenizerError, match=str(id)):
        tokenizer.tokens([id])


def test_half_a_character_is_one_sentence() -> None:
    tokenizer = trained(Character())
    for text in ("a\ud800", "\udcff"):
        with pytest.raises(TokenizerError, match="surrogate"):
            tokenizer.encode(text)
        with pytest.raises(TokenizerError, match="surrogate"):
            tokenizer.encode_all(["fine", text])


def test_pieces_are_readable() -> None:
    tokenizer = trained(Character(text=RAW))
    assert tokenizer.tokens(tokenizer.encode("a b\n")) == ["a", "▁", "b", "<0x0A>"]
    assert Character(text=RAW).train(["a\tb\nc"]).tokens([*range(260, 264)]) == ["\\t", "\\n", "▁", "a"]


@each(ALL)
def test_saved_and_loaded_it_is_the_same(spec: TokenizerSpec, tmp_path: Path) -> None:
    tokenizer = trained(spec)
    path = tmp_path / "run" / "tokenizer.json"
    tokenizer.save(path)
    loaded = Tokenizer.load(path)
    copied: Tokenizer = pickle.loads(pickle.dumps(tokenizer))  # noqa: S301 - worker processes do this
    library = tokenizers.Tokenizer.from_file(str(path))
    text = "Two unseen 😀 </s> 小女孩   [MASK]"
    for other in (loaded, copied):
        assert other.encode(text) == tokenizer.encode(text)
        assert other.fingerprint == tokenizer.fingerprint
        assert other.spec == spec.model_dump(mode="json")
    plain = "Two men 小女孩"
    assert library.encode(plain).ids == tokenizer.encode(plain)
    assert library.decode(library.encode(plain).ids) == plain
    loaded.save(tmp_path / "again.json")
    assert (tmp_path / "again.json").read_bytes() == path.read_bytes()


def test_training_is_deterministic_across_processes() -> None:
    specs = [BPE(vocabulary=450), Unigram(vocabulary=450), WordPiece(vocabulary=300), Word(), Character()]
    script = (
        "import sys, json\n"
        "from pydantic import TypeAdapter\n"
        "from whyformer.data.tokenizers.kinds import TokenizerSpec\n"
        "specs, lines = json.load(sys.stdin)\n"
        "for spec in TypeAdapter(list[TokenizerSpec]).validate_python(specs):\n"
        "    print(spec.train(lines).fingerprint)\n"
    )
    answer = subprocess.run(
        [sys.executable, "-c", script],
        input=json.dumps([[spec.model_dump(mode="json") for spec in specs], LINES]),
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src"), "PYTHONHASHSEED": "17"},
        capture_output=True,
        text=True,
        check=True,
    )
    assert answer.stdout.split() == [spec.train(iter(LINES)).fingerprint for spec in specs]


def test_the_package_imports_neither_torch_nor_the_library() -> None:
    script = (
        "import sys, whyformer.data.tokenizers.pair, whyformer.data.corpora.pair_files\n"
        "import whyformer.cli.tokenizer\n"
        "assert not {'torch', 'tokenizers'} & set(sys.modules)"
    )
    env = {**os.environ, "PYTHONPATH": str(Path(__file__).parents[2] / "src")}
    subprocess.run([sys.executable, "-c", script], env=env, check=True)


@pytest.mark.parametrize(
    "spec", [BPE(vocabulary=300), Unigram(vocabulary=300), WordPiece(vocabulary=40), Word(vocabulary=4)]
)
def test_a_vocabulary_without_room_is_refused(spec: TokenizerSpec) -> None:
    with pytest.raises(TokenizerError, match="too small"):
        spec.train(LINES)


@each([BPE(), Unigram(), WordPiece(), Word(), Character()])
@pytest.mark.parametrize("lines", [[], [""], [" ", "\t\n"]])
def test_no_text_is_refused(spec: TokenizerSpec, lines: list[str]) -> None:
    with pytest.raises(TokenizerError, match="no text"):
        spec.train(lines)


@each([BPE(), Unigram(), WordPiece(), Word(), Character()])
def test_a_single_short_line_is_enough(spec: TokenizerSpec) -> None:
    tokenizer = spec.train(["a"])
    assert tokenizer.decode(tokenizer.encode("a")) == "a"


def test_the_smallest_vocabulary_that_fits_works() -> None:
    for kind in (BPE, Unigram):
        lines = ["abc abd"] * 3
        tokenizer = kind(vocabulary=4 + 256 + 5).train(lines)
        assert tokenizer.decode(tokenizer.encode("dcba xyz")) == "dcba xyz"


@pytest.mark.parametrize("special", ["x", "a b", "<s>", "<0x41>", "##a", ""])
def test_unfit_special_names_are_refused(special: str) -> None:
    with pytest.raises(ValidationError):
        BPE(specials=(special,))
    with pytest.raises(ValidationError):
        BPE(specials=("[MASK]", "[MASK]"))


def test_a_missing_or_foreign_file_is_one_sentence(tmp_path: Path) -> None:
    path = tmp_path / "tokenizer.json"
    with pytest.raises(TokenizerError, match="no such"):
        Tokenizer.load(path)
    with pytest.raises(TokenizerError, match="cannot be read"):
        Tokenizer.load(tmp_path)
    foreign = tokenizers.Tokenizer(tokenizers.models.BPE())
    foreign.save(str(path))
    with pytest.raises(TokenizerError, match="not a tokenizer of Whyformer"):
        Tokenizer.load(path)


@given(
    content=st.binary(max_size=60)
    | st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=5),
        lambda inner: (
            st.lists(inner, max_size=4)
            | st.dictionaries(
                st.sampled_from(["model", "added_tokens", "whyformer", "kind", "x"]), inner, max_size=4
            )
        ),
    ).map(lambda value: json.dumps(value).encode())
)
@example(content=b'{"model": {"whyformer": {"kind": ""}}, "added_tokens": [null, 1, "x", []]}')
@settings(max_examples=150, deadline=None)
def test_any_bytes_instead_of_a_tokenizer_are_one_sentence(
    content: bytes, tmp_path_factory: pytest.TempPathFactory
) -> None:
    path = tmp_path_factory.mktemp("damaged") / "tokenizer.json"
    path.write_bytes(content)
    with pytest.raises(TokenizerError, match=r"tokenizer\.json"):
        Tokenizer.load(path)


@given(cut=st.floats(0, 0.999), flip=st.booleans())
@settings(max_examples=60, deadline=None)
def test_a_damaged_file_is_one_sentence_or_another_tokenizer(
    cut: float, flip: bool, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("damaged")
    path = folder / "tokenizer.json"
    trained(BPE(vocabulary=500)).save(path)
    content = bytearray(path.read_bytes())
    place = int(cut * len(content))
    if flip:
        content[place] ^= 0x55
    else:
        del content[place:]
    path.write_bytes(content)
    said = outcome(path)
    assert said != trained(BPE(vocabulary=500)).fingerprint
    assert str(path) in said or len(said) == 12


def outcome(path: Path) -> str:
    try:
        return Tokenizer.load(path).fingerprint
    except TokenizerError as error:
        return str(error)


@pytest.mark.parametrize(
    "spec", [JointTokenizer(both=BPE(vocabulary=400)), SeparateTokenizers(source=Word(), target=Character())]
)
def test_pairs_of_tokenizers(spec: JointTokenizer | SeparateTokenizers, tmp_path: Path) -> None:
    pair = spec.train(iter(LINES[:4]), iter(LINES[4:]))
    pair.save(tmp_path)
    loaded = TokenizerPair.load(tmp_path)
    assert loaded.joint == pair.joint == (spec.kind == "joint")
    assert loaded.source.fingerprint == pair.source.fingerprint
    assert loaded.target.fingerprint == pair.target.fingerprint
    assert loaded.target.decode(loaded.target.encode("小女孩")) == "小女孩"


def test_a_folder_with_both_kinds_of_tokenizers_is_refused(tmp_path: Path) -> None:
    with pytest.raises(TokenizerError, match="no such"):
        TokenizerPair.load(tmp_path)
    tokenizer = trained(Character())
    TokenizerPair(tokenizer, tokenizer).save(tmp_path)
    TokenizerPair(tokenizer, trained(Word())).save(tmp_path)
    with pytest.raises(TokenizerError, match="delete"):
        TokenizerPair.load(tmp_path)
    (tmp_path / "tokenizer.json").unlink()
    (tmp_path / "tokenizer.source.json").unlink()
    with pytest.raises(TokenizerError, match=r"tokenizer\.source\.json"):
        TokenizerPair.load(tmp_path)


def shared(file: str) -> Path:
    root = Path(os.environ.get("WHYFORMER_SHARED", Path(__file__).parents[3] / "shared"))
    path = root / "data" / file
    if not path.exists():
        pytest.skip(f"{path} is not there; set WHYFORMER_SHARED to the folder of shared data")
    return path


@each(
    [BPE(vocabulary=2000, text=RAW), Unigram(vocabulary=2000, text=RAW), Character(coverage=0.99, text=RAW)]
)
def test_real_text_comes_back(spec: TokenizerSpec) -> None:
    english = read_lines(shared("multi30k/raw/val.en.gz"))
    table = read_lines(shared("tatoeba-zh/valid.tsv.gz"))
    tokenizer = spec.train([*english[:500], *table[:500]])
    held_out = [*english[500:], *table[500:]]
    assert tokenizer.decode_all(tokenizer.encode_all(held_out)) == held_out
