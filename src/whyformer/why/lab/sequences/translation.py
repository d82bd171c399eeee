"""Toy translations: strings of symbols, what is written of them, and an encoder-decoder that learns it.

B batch · L symbols · S source length · T target length · V vocabulary
"""

from collections.abc import Callable, Sequence
from functools import cache, partial
from typing import NamedTuple

import torch
from torch import Generator, Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from whyformer.attention.mask import MaskRule
from whyformer.data.batches.batch import Batch, PairBatch
from whyformer.data.corpora.cldr.corpus import CldrSpec
from whyformer.data.corpora.cldr.splits import CldrPair
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.search import SearchSpec, search
from whyformer.models.encoder_decoder import AnyEncoderDecoder
from whyformer.models.transformer import Transformer, TransformerState, transformer
from whyformer.nn.cache import CrossCache, KVCache
from whyformer.nn.feed_forward import ReluSpec
from whyformer.position.absolute import sinusoids
from whyformer.position.layout import Layout
from whyformer.runs.load import Execution, load_as
from whyformer.special_tokens import BOS, EOS, PAD
from whyformer.tap import attach, record
from whyformer.tasks.translation.translator import Translator
from whyformer.why.lab.assets import trained_run
from whyformer.why.lab.cost import milliseconds
from whyformer.why.lab.training import Draw, Examples
from whyformer.why.question import Text

FIRST_SYMBOL, SOURCE_SYMBOLS = 4, 10
"""Symbols, and the token that the first of them is; the special tokens stand before."""
TOY_VOCABULARY = FIRST_SYMBOL + SOURCE_SYMBOLS

SMALLER = (
    "data.topics=[dates]",
    "data.pairs=6000",
    "model.d_model=64",
    "model.encoder.layers=2",
    "model.decoder.layers=2",
    "training.epochs=5",
    "training.validation.every=400",
)
"""Changes of the recipe ``demo`` for the small translator."""

Write = Callable[[Tensor, Generator], Tensor]
"""Rule that turns symbols (B,L) into those that are to be written (B,L)."""


class Writer(nn.Module):
    """An encoder-decoder in the shape of the paper, small and without dropout, taught by teacher forcing."""

    def __init__(
        self, layers: int = 2, heads: int = 4, width: int = 48, mask: MaskRule | None = None
    ) -> None:
        """A writer whose encoder may be told by ``mask`` who attends to whom in it."""
        super().__init__()
        spec = transformer(layers=layers, d_model=width, heads=heads, feed_forward=2 * width, dropout=0.0)
        if mask is not None:
            spec = spec.model_copy(update={"encoder": spec.encoder.model_copy(update={"mask": mask})})
        self.model = spec.build(TOY_VOCABULARY, TOY_VOCABULARY)

    @override
    def forward(self, sentences: Tensor) -> Tensor:
        """Source and decoder input side by side (B,S+T) -> scores (B,V,T)."""
        source, target = sides(sentences)
        return self.model.logits(self.model(*source, *target)).transpose(1, 2)


class TextSide(NamedTuple):
    """Sentences of one language (B,L), and which of their tokens are real."""

    tokens: Tensor
    layout: Layout

    def select(self, rows: Tensor) -> "TextSide":
        """Other rows: ``rows`` (B') int64."""
        return TextSide(self.tokens[rows], self.layout.select(rows))


def sides(sentences: Tensor) -> tuple[TextSide, TextSide]:
    """Source and decoder input of sentences (B,S+T) without padding."""
    source, target = sentences.chunk(2, dim=1)
    return TextSide(source, Layout.counting(*source.shape)), TextSide(target, Layout.counting(*target.shape))


def translation(write: Write, shortest: int, longest: int) -> Draw:
    """Strings of one length an update, drawn too; the decoder reads its target one place late."""

    def draw(random: Generator, count: int) -> Examples:
        length = int(torch.randint(shortest, longest + 1, (), generator=random))
        symbols = torch.randint(SOURCE_SYMBOLS, (count, length), generator=random)
        source = F.pad(symbols + FIRST_SYMBOL, (0, 1), value=EOS)
        target = F.pad(write(symbols, random) + FIRST_SYMBOL, (0, 1), value=EOS)
        shifted = F.pad(target[:, :-1], (1, 0), value=BOS)
        return Examples(torch.cat([source, shifted], dim=1), target)

    return draw


def backwards(symbols: Tensor, random: Generator) -> Tensor:
    """The same symbols from the last to the first: each place of the target has one of the source."""
    return symbols.flip(1)


def counting(symbols: Tensor, random: Generator) -> Tensor:
    """Symbols that count up from any one: the source says nothing of them."""
    begin = torch.randint(SOURCE_SYMBOLS, (len(symbols), 1), generator=random)
    return (begin + torch.arange(symbols.shape[1])) % SOURCE_SYMBOLS


def running_sum(symbols: Tensor, random: Generator) -> Tensor:
    """Each symbol, as one of 0, 1, 2, added to what was written before: one mistake makes all later ones."""
    return (symbols % 3).cumsum(dim=1) % SOURCE_SYMBOLS


class SmallTranslator(NamedTuple):
    """A trained translator of dates, and pairs that it has never seen."""

    translator: Translator
    pairs: list[CldrPair]

    @property
    def model(self) -> Transformer:
        """Its model."""
        model = self.translator.model
        assert isinstance(model, Transformer)
        return model

    def examples(self, random: Generator, count: int) -> tuple[TextSide, TextSide, Tensor]:
        """So many of the pairs, drawn without repetition; see ``sides``."""
        chosen = torch.randperm(len(self.pairs), generator=random)[:count].tolist()
        return self.sides([self.pairs[index] for index in chosen])

    def sides(self, pairs: Sequence[CldrPair]) -> tuple[TextSide, TextSide, Tensor]:
        """Source, decoder input and what is to be written (B,T)."""
        tokenizers = self.translator.tokenizers
        sources = tokenizers.source.encode_all([pair.source for pair in pairs])
        targets = tokenizers.target.encode_all([pair.target for pair in pairs])
        batch = PairBatch.of(list(zip(sources, targets, strict=True)))
        target = batch.target
        read = TextSide(target.tokens[:, :-1], target.layout.without_last())
        return TextSide(batch.source.tokens, batch.source.layout), read, target.tokens[:, 1:]


@torch.no_grad()
def loss_of(model: AnyEncoderDecoder, source: TextSide, target: TextSide, gold: Tensor) -> float:
    """Mean loss in nats on ``gold`` (B,T), padding left out, after the true tokens before."""
    scores = model.logits(model(*source, *target)).transpose(1, 2)
    return float(F.cross_entropy(scores, gold, ignore_index=PAD))


OWN, OTHER = Text("its own source", "自己的源句"), Text("another sentence's", "另一句的源句")
NOTHING = Text("nothing (context 0)", "什么都读不到（上下文置 0）")


def loss_by_source(
    model: AnyEncoderDecoder, source: TextSide, target: TextSide, gold: Tensor
) -> dict[Text, float]:
    """The same when the decoder reads its own source, that of the row above, or nothing."""
    other = source.select(torch.arange(len(gold)).roll(1))
    found = {arm: loss_of(model, side, target, gold) for arm, side in ((OWN, source), (OTHER, other))}
    with attach(model, "*.cross_attention.taps.context", lambda _, context: torch.zeros_like(context)):
        found[NOTHING] = loss_of(model, source, target, gold)
    return found


@torch.no_grad()
def step_logits(model: Transformer, renew: Callable[[], CrossCache], steps: int) -> Tensor:
    """Logits (T,B,V) of some steps, before each of which the memory's keys and values are made anew.

    The column of padding, which is minus infinity, is left out.
    """
    state, made = TransformerState(model.decoder.new_cache(), renew(), watch_attention=False), []
    for step in range(steps):
        state.cross = renew()
        made.append(model.step(torch.full((len(state.cross),), FIRST_SYMBOL + step), state))
    return torch.stack(made)[..., PAD + 1 :]


@torch.no_grad()
def prefix_logits(
    model: Transformer, tokens: Tensor, cross: CrossCache, cache: KVCache | None = None
) -> Tensor:
    """Logits (B,T,V) behind each of a target's ``tokens`` (B,T), in one pass that ``cache`` may keep."""
    where = Layout.counting(*tokens.shape)
    x = model.decoder.embed(model.target_embedding(tokens), where)
    return model.logits(model.decoder(x, where, cache=cache, cross=cross))[..., PAD + 1 :]


CACHED, AGAIN = Text("cached: one row", "有缓存：只算一行"), Text("prefix run again", "重算整个前缀")


@torch.no_grad()
def step_cost(lengths: Sequence[int]) -> tuple[dict[int, dict[Text, float]], float]:
    """Milliseconds of a step at each of ``lengths``, and the largest difference of logits.

    By a cache and without, of a model with random weights and 16 sentences at once.
    """
    model = transformer(layers=2, d_model=128, heads=4, feed_forward=256, dropout=0.0).build(64, 64).eval()
    source, tokens = (
        torch.randint(FIRST_SYMBOL, 64, (16, 16)),
        torch.randint(FIRST_SYMBOL, 64, (16, max(lengths))),
    )
    cross = model.encode(source, Layout.counting(16, 16))

    def fresh() -> TransformerState:
        return TransformerState(model.decoder.new_cache(), cross, watch_attention=False)

    times: dict[int, dict[Text, float]] = {}
    for length in lengths:
        state = fresh()
        if length > 1:
            prefix_logits(model, tokens[:, : length - 1], cross, state.cache)
        step = partial(model.step, tokens[:, length - 1], state)
        again = partial(prefix_logits, model, tokens[:, :length], cross)
        times[length] = milliseconds({CACHED: step, AGAIN: again}, 7)
    state = fresh()
    cached = torch.stack([model.step(token, state) for token in tokens.unbind(dim=1)], dim=1)
    return times, float((cached[..., PAD + 1 :] - prefix_logits(model, tokens, cross)).abs().max())


def written_alone(model: Transformer, sentences: Tensor) -> Tensor:
    """Tokens (B,T) that ``model`` writes by itself, always the likeliest, to sentences without padding."""
    source, target = sides(sentences)
    count = target.tokens.shape[1]
    found = search(model, source.tokens, source.layout, GreedySpec(), model_limit=count)
    rows = [[*best[0].tokens, EOS, *[PAD] * count][:count] for best in found]
    return torch.tensor(rows)


def changed_by_batch(model: Transformer, settings: SearchSpec, sources: list[list[int]]) -> int:
    """How many of some sentences come out otherwise side by side than one by one."""

    def outputs(rows: list[list[int]]) -> list[tuple[int, ...]]:
        batch = Batch.of([[*row, EOS] for row in rows])
        found = search(model, batch.tokens, batch.layout, settings, model_limit=2 * max(map(len, sources)))
        return [best[0].tokens for best in found]

    alone = [outputs([row])[0] for row in sources]
    return sum(one != other for one, other in zip(outputs(sources), alone, strict=True))


@torch.no_grad()
def reversal_alignment(model: Writer, sentences: Tensor) -> list[float]:
    """Percentage of symbols at which each decoder layer, in the mean over heads, looks most at the right one.

    The task is ``backwards``; the place of EOS is asked of nobody.
    """
    with record(model, "*.cross_attention.taps.weights") as tape:
        model(sentences)
    length = sentences.shape[1] // 2 - 1
    gold = torch.arange(length).flip(0)
    # (B,H,T,S) -> (B,T)
    found = [weights.mean(dim=1)[:, :length].argmax(dim=-1) for [weights] in tape.values()]
    return [100.0 * float((each == gold).float().mean()) for each in found]


@cache
def small_translator() -> SmallTranslator:
    """English dates to Chinese ones, by two layers of each kind; trained in a minute, once on a machine."""
    run = trained_run("demo", *SMALLER)
    corpus = CldrSpec(source="en", target="zh", topics=("dates",), pairs=6000).build()
    return SmallTranslator(load_as(Translator, run, Execution(device="cpu")), corpus.test)


def differences_from_torch(*, scaled: bool) -> tuple[float, float]:
    """Largest differences from PyTorch's Transformer with equal weights, random ones, and with padding.

    Of the hidden states, and of the gradient of the embeddings relative to its largest entry. Where theirs
    are not ``scaled`` by √d the two must differ.
    """
    width, source_lengths, target_lengths = 64, (7, 4, 2), (3, 5, 1)
    spec = transformer(layers=2, d_model=width, heads=4, feed_forward=128, dropout=0.0)
    model = spec.build(TOY_VOCABULARY, TOY_VOCABULARY)
    with torch.no_grad():
        for parameter in model.parameters():
            # No biases of 0 and no gains of 1, which would hide a mistake.
            parameter.add_(0.1 * torch.randn_like(parameter))
    own = model.source_embedding.weight
    table = own.detach().clone().requires_grad_()
    tokens, valid, embedded = [], [], []
    for lengths in (source_lengths, target_lengths):
        longest = max(lengths)
        tokens.append(torch.randint(FIRST_SYMBOL, TOY_VOCABULARY, (len(lengths), longest)))
        valid.append(torch.arange(longest) < torch.tensor(lengths)[:, None])
        x = F.embedding(tokens[-1], table) * (width**0.5 if scaled else 1.0)
        embedded.append(x + sinusoids(torch.arange(longest), width))
    ours = model(tokens[0], valid[0], tokens[1], valid[1])
    theirs = torch_twin(model)(
        *embedded,
        tgt_mask=torch.ones(5, 5).triu(1).bool(),
        src_key_padding_mask=~valid[0],
        tgt_key_padding_mask=~valid[1],
        memory_key_padding_mask=~valid[0],
    )
    direction = torch.randn_like(ours) * valid[1][..., None]
    [expected] = torch.autograd.grad((theirs * direction).sum(), [table])
    [found] = torch.autograd.grad((ours * direction).sum(), [own])
    apart = float((found - expected).abs().max() / expected.abs().max())
    return float((ours - theirs).detach()[valid[1]].abs().max()), apart


def torch_twin(model: Transformer) -> nn.Transformer:
    """PyTorch's own Transformer with the weights of ``model``, which is post-norm, as the paper is.

    It has no last norms, as those are for pre-norm, and leaves embeddings to its caller.
    """
    spec, encoder, decoder = model.spec, model.spec.encoder, model.spec.decoder
    assert isinstance(encoder.block.feed_forward, ReluSpec)
    size = (spec.d_model, encoder.block.self_attention.heads.query, encoder.block.feed_forward.hidden)
    reading = nn.TransformerEncoderLayer(*size, dropout=0.0, batch_first=True)
    writing = nn.TransformerDecoderLayer(*size, dropout=0.0, batch_first=True)
    theirs = nn.Transformer(
        *size[:2],
        custom_encoder=nn.TransformerEncoder(reading, encoder.layers, enable_nested_tensor=False),
        custom_decoder=nn.TransformerDecoder(writing, decoder.layers),
        batch_first=True,
    )
    for stack, ours in ((theirs.encoder, model.encoder), (theirs.decoder, model.decoder)):
        for number, block in enumerate(ours.blocks):
            # Strict: a weight that is missing or left over is an error.
            stack.get_submodule(f"layers.{number}").load_state_dict(_torch_names(block))
    return theirs


def _torch_names(block: nn.Module) -> dict[str, Tensor]:
    """Weights of one of our layers by the names that PyTorch's has for them."""
    attentions = {"self_attn": "attention", "multihead_attn": "cross_attention"}
    branches = ["attention_branch", "cross_branch", "feed_forward_branch"]
    names = {"linear1": "feed_forward.enter", "linear2": "feed_forward.leave"}
    if "cross_attention.query.weight" not in block.state_dict():
        del attentions["multihead_attn"], branches[1]
    names |= {f"{their}.out_proj": f"{our}.output" for their, our in attentions.items()}
    names |= {f"norm{number}": f"{branch}.norm" for number, branch in enumerate(branches, start=1)}
    found: dict[str, Tensor] = {}
    for part in ("weight", "bias"):
        found |= {f"{their}.{part}": block.get_parameter(f"{our}.{part}") for their, our in names.items()}
        for their, our in attentions.items():
            joined = (block.get_parameter(f"{our}.{name}.{part}") for name in ("query", "key", "value"))
            found[f"{their}.in_proj_{part}"] = torch.cat((*joined,))
    return found
