"""ELMo: each direction sees its own side, padding and batch mates change nothing, spelling makes the word."""

from typing import cast

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError
from torch import Tensor

from whyformer.models.elmo import ELMo, ELMoSpec, reverse
from whyformer.nn.recurrent.cells import CellSpec, GRUSpec, LSTMSpec
from whyformer.nn.vectors.characters import CharacterCNN, CharactersSpec, Highway, SpelledWords
from whyformer.nn.vectors.scalar_mix import ScalarMix

M, V = 6, 15
CHARACTERS = CharactersSpec(width=5, filters=((1, 3), (3, 7)), highways=2, longest=12)
VOCABULARY = ["<s>", "</s>", " a", " cat", " sat", ",", "中"]


def build(cell: CellSpec) -> ELMo:
    torch.manual_seed(0)
    return ELMoSpec(d_model=M, characters=CHARACTERS, cell=cell).build(V).double().eval()


MODELS = pytest.mark.parametrize("model", [build(LSTMSpec()), build(GRUSpec())], ids=["lstm", "gru"])
SENTENCES = [[0, 2, 3, 4, 5, 6, 1], [0, 6, 1], [0, 3, 3, 2, 1]]


def batch(sentences: list[list[int]], filler: int = 0) -> SpelledWords:
    longest = max(map(len, sentences))
    rows = [[*sentence, *[filler] * (longest - len(sentence))] for sentence in sentences]
    valid = torch.arange(longest) < torch.tensor([[len(sentence)] for sentence in sentences])
    return SpelledWords(torch.from_numpy(CHARACTERS.spell(VOCABULARY)).long(), torch.tensor(rows), valid)


@MODELS
def test_each_direction_sees_its_own_side_and_all_of_it(model: ELMo):
    text = batch(SENTENCES[:1])
    x = model.embed(text)
    forwards, backwards = model.read(x, text.valid)
    length = x.shape[1]
    for states, sees in ((forwards, torch.tril), (backwards, torch.triu)):
        for layer in states:
            influence = torch.stack(
                [
                    torch.autograd.grad(layer[0, t].square().sum(), x, retain_graph=True)[0][0].abs().sum(-1)
                    for t in range(length)
                ]
            )
            # Zero is exact: what is out of sight has no path.
            assert torch.equal(influence > 0, sees(torch.ones(length, length)).bool())


@MODELS
def test_padding_and_batch_mates_change_nothing(model: ELMo):
    together = model.layers(batch(SENTENCES))
    for layers in (model.layers(batch(SENTENCES, filler=5)), together):
        for row, sentence in enumerate(SENTENCES):
            for found, alone in zip(layers, model.layers(batch([sentence])), strict=True):
                torch.testing.assert_close(found[row : row + 1, : len(sentence)], alone)


@MODELS
def test_every_weight_gets_a_gradient(model: ELMo):
    forwards, backwards = model(model.embed(text := batch(SENTENCES)), text.valid)
    (forwards[text.valid].square().sum() + backwards[text.valid].square().sum()).backward()
    named = dict(model.named_parameters())
    assert {name for name, weight in named.items() if weight.grad is None} == {"output_weight"}
    assert all(weight.grad.any() for weight in named.values() if weight.grad is not None)
    model.zero_grad()


@MODELS
def test_layers_are_the_word_twice_then_both_directions_of_each_layer(model: ELMo):
    text = batch(SENTENCES)
    word, first, last = model.layers(text)
    x = model.embed(text)
    torch.testing.assert_close(word, torch.cat([x, x], dim=-1))
    torch.testing.assert_close(last, torch.cat(model(x, text.valid), dim=-1))
    assert not torch.allclose(first, last)


@pytest.mark.parametrize("silent", [0, 1])
def test_a_layer_adds_what_it_read_unless_it_is_the_first(silent: int):
    model = build(LSTMSpec())
    with torch.no_grad():
        for one_way in (model.forwards, model.backwards):
            for weight in one_way.layers[silent].parameters():
                weight.zero_()
    _, first, last = model.layers(batch(SENTENCES))
    assert not first.any() if silent == 0 else torch.equal(first, last)


@given(
    lengths=st.lists(st.integers(1, 7), min_size=1, max_size=4),
    seed=st.integers(0, 99),
)
def test_a_row_is_turned_around_within_its_length(lengths: list[int], seed: int):
    x = torch.randn(len(lengths), 7, 2, generator=torch.Generator().manual_seed(seed))
    valid = torch.arange(7) < torch.tensor(lengths)[:, None]
    turned = reverse(x, valid)
    for row, length in enumerate(lengths):
        assert torch.equal(turned[row, :length], x[row, :length].flip(0))
        assert torch.equal(turned[row, length:], x[row, length:])


def by_definition(network: CharacterCNN, word: list[int]) -> Tensor:
    """The vector (M,) of one word, filter by filter and place by place."""
    # Beyond its end a word is nothing.
    bytes_ = torch.cat([network.embedding.weight[word], torch.zeros(9, network.embedding.embedding_dim)])
    answers = []
    for convolution in network.convolutions:
        assert isinstance(convolution, torch.nn.Conv1d)
        assert convolution.bias is not None
        for weight, bias in zip(convolution.weight, convolution.bias, strict=True):
            seen = weight.shape[1]
            places = [(weight.T * bytes_[at : at + seen]).sum() + bias for at in range(len(word))]
            answers.append(torch.stack(places).max().clamp_min(0))
    x = torch.stack(answers)
    for highway in network.highways:
        assert isinstance(highway, Highway)
        change, gate = highway.change, highway.gate
        g = torch.sigmoid(gate.weight @ x + gate.bias)
        x = g * (change.weight @ x + change.bias).relu() + (1 - g) * x
    return network.project.weight @ x + network.project.bias


@settings(max_examples=20)
@given(words=st.lists(st.text(max_size=6), min_size=1, max_size=4), more=st.integers(0, 5))
def test_the_network_is_its_definition_and_padding_changes_nothing(words: list[str], more: int):
    torch.manual_seed(0)
    network = CHARACTERS.build(M)
    for convolution in network.convolutions:
        assert isinstance(convolution, torch.nn.Conv1d)
        # What a filter says to padding alone: it must not count.
        torch.nn.init.constant_(cast(Tensor, convolution.bias), 1.0)
    words = [word.encode(errors="ignore").decode() for word in words]
    spelling = torch.from_numpy(CHARACTERS.spell(words)).long()
    wider = torch.cat([spelling, spelling.new_zeros(len(words), more)], dim=1)
    expected = [by_definition(network, [symbol for symbol in row if symbol]) for row in spelling.tolist()]
    torch.testing.assert_close(network(wider), torch.stack(expected), rtol=1e-4, atol=1e-5)


def test_words_are_spelled_in_bytes_between_marks():
    assert CHARACTERS.spell(["ab", "", "中"]).tolist() == [
        [257, 98, 99, 258, 0],
        [257, 258, 0, 0, 0],
        [257, 0xE4 + 1, 0xB8 + 1, 0xAD + 1, 258],
    ]
    assert CHARACTERS.spell([]).shape == (0, 2)


def test_of_an_overlong_word_the_beginning_is_read():
    spelled = CHARACTERS.spell(["x" * 9, "x" * 10 + "a", "x" * 10_000])
    assert spelled.shape == (3, 12)
    assert spelled[1].tolist() == spelled[2].tolist() != spelled[0].tolist()


def test_a_mix_of_layers_is_its_equation():
    layers = [torch.randn(2, 3) for _ in range(3)]
    mix, joined = ScalarMix(3), torch.stack(layers, dim=1)
    torch.testing.assert_close(mix(joined), (layers[0] + layers[1] + layers[2]) / 3)
    with torch.no_grad():
        mix.scores.copy_(torch.tensor([1.0, 2.0, 4.0]).log())
        mix.scale.fill_(7.0)
    torch.testing.assert_close(mix(joined), layers[0] + 2 * layers[1] + 4 * layers[2])
    mix(joined).sum().backward()
    assert all(weight.grad is not None and weight.grad.any() for weight in mix.parameters())
    with pytest.raises(RuntimeError, match="size mismatch"):
        mix(joined[:, :2])


@pytest.mark.parametrize(
    "changed",
    [{"filters": []}, {"filters": [[0, 8]]}, {"filters": [[3, 0]]}, {"filters": [[3]]}, {"longest": 2}],
)
def test_characters_that_cannot_work_are_refused(changed: dict[str, object]):
    with pytest.raises(ValidationError, match=next(iter(changed))):
        CharactersSpec.model_validate(changed)
