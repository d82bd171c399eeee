"""Q17, WordPiece and BPE (WordPiece 与 BPE): which pieces each learns of a text, and whether it matters."""

from collections.abc import Sequence
from itertools import chain
from random import Random

from typing_extensions import override

from whyformer.data.tokenizers.kinds import BPE, Character, WordPiece
from whyformer.data.tokenizers.tokenizer import Tokenizer
from whyformer.special_tokens import UNK
from whyformer.why.lab.toys import text
from whyformer.why.question import Bounds, Claim, Experiment, Figure, Question, Text, Topic
from whyformer.why.question import Measurements as Numbers

BY_FREQUENCY, BY_GAIN = Text("BPE", "BPE"), Text("WordPiece (likelihood gain)", "WordPiece（似然增益）")
GREEDY = Text("BPE's merges, WordPiece's cut", "BPE 的合并，WordPiece 的切分")
BY_RATIO = Text("WordPiece by count(ab)/count(a)count(b)", "WordPiece，按 count(ab)/count(a)count(b)")
LETTERS = Text("characters", "字符")

SIZE, SHARE = Text("pieces in the vocabulary", "词表大小"), Text("share (%)", "占比（%）")
WORD, BITS_UNIT = Text("Pieces a word of unseen text", "未见文本每词的子词数"), Text("bits", "比特")
FERTILITY = Figure(WORD, SIZE, Text("pieces", "子词数"), "line", "x")
SURPRISE = Text("Bits a character (bigrams)", "每字符比特数（二元模型）")
BITS = Figure(SURPRISE, SIZE, BITS_UNIT, "line", "x", reference=LETTERS)
SHARED = Figure(Text("Pieces that BPE learned too", "与 BPE 相同的子词"), SIZE, SHARE)
UNKNOWN = Figure(Text("Unknown tokens", "未知词元"), SIZE, SHARE)
SHUFFLED = Figure(Text("The same, letters shuffled", "同上，打乱字母"), SIZE, BITS_UNIT)


class Pieces(Experiment):
    """Tokenizers of equal size on Python's own manual, of which a fifth is held out."""

    sizes: tuple[int, ...] = (400, 800, 1600, 3200)
    """Pieces of the vocabularies, characters included."""
    wordpiece: WordPiece = WordPiece(coverage=1.0)
    """WordPiece in question."""

    @override
    def measure(self, seed: int) -> Numbers:
        measured, texts = Numbers(), text.paragraphs()
        Random(seed).shuffle(texts)
        shuffled = text.without_morphology(texts, Random(seed))
        fifth = len(texts) // 5
        letters = [
            text.bits_a_character(Character().train(each[fifth:]), each, fifth) for each in (texts, shuffled)
        ]
        for size in self.sizes:
            bpe = BPE(vocabulary=size, coverage=1.0, byte_fallback=False)
            specs = {
                BY_FREQUENCY: bpe,
                BY_GAIN: self.wordpiece.model_copy(update={"vocabulary": size}),
                GREEDY: WordPiece(vocabulary=size, coverage=1.0, criterion="frequency"),
                BY_RATIO: text.ShortFormWordPiece(vocabulary=size, coverage=1.0),
            }
            tokenizers = {arm: spec.train(texts[fifth:]) for arm, spec in specs.items()}
            for arm, tokenizer in tokenizers.items():
                measured.update(compared(arm, size, tokenizer, texts[:fifth]))
                measured[BITS, arm, size] = text.bits_a_character(tokenizer, texts, fifth)
                both = text.learned_pieces(tokenizer) & text.learned_pieces(tokenizers[BY_FREQUENCY])
                measured[SHARED, arm, size] = 100.0 * len(both) / len(text.learned_pieces(tokenizer))
            measured[BITS, LETTERS, size], measured[SHUFFLED, LETTERS, size] = letters
            pieces = bpe.train(shuffled[fifth:])
            measured[SHUFFLED, BY_FREQUENCY, size] = text.bits_a_character(pieces, shuffled, fifth)
        return measured


def compared(arm: Text, size: int, tokenizer: Tokenizer, texts: Sequence[str]) -> Numbers:
    """How many pieces a word of ``texts`` makes, and how many are unknown."""
    tokens = [*chain.from_iterable(tokenizer.encode_all(texts))]
    words = sum(len(each.split()) for each in texts)
    unknown = 100.0 * tokens.count(UNK) / len(tokens)
    return Numbers({(FERTILITY, arm, size): len(tokens) / words, (UNKNOWN, arm, size): unknown})


AT = 1600


def longer(measured: Numbers, arm: Text) -> float:
    """Pieces a word that ``arm`` needs beyond BPE's."""
    return measured[FERTILITY, arm, AT] - measured[FERTILITY, BY_FREQUENCY, AT]


CLAIMS = (
    Claim(
        "shared",
        Text(
            "pieces of WordPiece that BPE learned too, 1600 pieces (%)",
            "WordPiece 与 BPE 相同的子词，1600（%）",
        ),
        lambda m: m[SHARED, BY_GAIN, AT],
        expected=Bounds(high=90.0),
        tolerated=Bounds(high=90.0),
    ),
    Claim(
        "bits",
        Text(
            "bits a character: WordPiece above BPE, 1600 pieces (%)",
            "每字符比特数：WordPiece 高于 BPE，1600（%）",
        ),
        lambda m: 100.0 * (m[BITS, BY_GAIN, AT] / m[BITS, BY_FREQUENCY, AT] - 1.0),
        expected=Bounds(-2.0, 2.0),
        tolerated=Bounds(-5.0, 5.0),
    ),
    Claim(
        "ratio",
        Text(
            "pieces a word: ratio count(ab)/count(a)count(b) / exact gain", "每词子词数：比值判据 / 精确增益"
        ),
        lambda m: m[FERTILITY, BY_RATIO, AT] / m[FERTILITY, BY_GAIN, AT],
        expected=Bounds(low=1.5),
        tolerated=Bounds(low=1.1),
    ),
    Claim(
        "cut",
        Text(
            "share of the gap in pieces a word that the cut makes (%)", "每词子词数之差中来自切分的部分（%）"
        ),
        lambda m: 100.0 * longer(m, GREEDY) / longer(m, BY_GAIN),
        expected=Bounds(0.0, 50.0),
    ),
    Claim(
        "saved",
        Text("bits that BPE saves over characters, 1600 pieces (%)", "BPE 相比字符节省的比特，1600（%）"),
        lambda m: 100.0 * (1.0 - m[BITS, BY_FREQUENCY, AT] / m[BITS, LETTERS, AT]),
        expected=Bounds(low=10.0),
    ),
    Claim(
        "noise",
        Text("the same where letters are shuffled (%)", "打乱字母后同样的节省（%）"),
        lambda m: 100.0 * (1.0 - m[SHUFFLED, BY_FREQUENCY, AT] / m[SHUFFLED, LETTERS, AT]),
        expected=Bounds(high=2.0),
        tolerated=Bounds(high=2.0),
        control=True,
    ),
)

QUESTION = Question(
    number=17,
    title=Text("WordPiece and BPE?", "WordPiece 与 BPE 有何区别？"),
    topic=Topic("middle", "families", related=(22, 27), words="WordPiece BPE subword 子词 分词 词表"),
    claims=CLAIMS,
    figures=(FERTILITY, BITS, SHARED, UNKNOWN, SHUFFLED),
    experiment=Pieces(),
    numbers={
        "bpe_pieces": lambda m: m[FERTILITY, BY_FREQUENCY, AT],
        "gain_pieces": lambda m: m[FERTILITY, BY_GAIN, AT],
        "greedy_pieces": lambda m: m[FERTILITY, GREEDY, AT],
    },
)
