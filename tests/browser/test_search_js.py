"""The page's search finds what ours finds: tokens, scores, order, whatever the settings."""

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch
from torch import Tensor

from browser.javascript import needs_node, run_modules
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.hypothesis import Hypothesis
from whyformer.decoding.search import search
from whyformer.errors import DecodingError
from whyformer.position.layout import Padding
from whyformer.special_tokens import BOS, EOS

pytestmark = needs_node

# A reading as the engine has them: of a model whose logits depend on a state, which each token changes.
PROGRAM = """
import { search, searchSettings } from "./runtime/search.js";

class Automaton {
  constructor({ rows, next, source }) {
    Object.assign(this, { table: rows, next, length: source, states: [0], selected: 0 });
  }
  step(tokens) {
    if (tokens.length !== this.states.length) throw new Error("a token for each row");
    this.states = tokens.map((token, row) => this.next[this.states[row]][token]);
  }
  select(rows) {
    this.selected += 1;
    this.states = rows.map((row) => this.states[row]);
  }
  best(count, forbidden) {
    const ids = [], logProbabilities = [];
    for (const state of this.states) {
      const all = this.table[state].map((number, id) => ({ number: number ?? -Infinity, id }));
      const allowed = all.filter(({ id }) => !forbidden.includes(id));
      if (allowed.length < count) throw new Error("more than there are");
      allowed.sort((one, other) => other.number - one.number || one.id - other.id);
      const best = allowed.slice(0, count);
      ids.push(...best.map(({ id }) => id));
      logProbabilities.push(...best.map(({ number }) => number));
    }
    return { ids, logProbabilities };
  }
}

function found({ automaton, asked, decoding, facts }) {
  try {
    const reading = new Automaton(automaton);
    return { ...search(reading, searchSettings(asked, decoding), facts), selected: reading.selected };
  } catch (error) {
    if (error.code === undefined) throw error;
    return { fault: error.code };
  }
}

tell(cases.map(found));
"""


class AutomatonState:
    def __init__(self, rows: int) -> None:
        self.states = torch.zeros(rows, dtype=torch.int64)

    def select(self, rows: Tensor) -> None:
        self.states = self.states[rows]


class Automaton:
    """Logits (K,V) of K states, and which state (K,V) each token leads to; ``levels`` make ties abound."""

    def __init__(self, random: Random, vocabulary: int, levels: int | None) -> None:
        states = random.randint(1, 12)
        spread = random.choice([0.3, 1.0, 3.0])
        logits = [[random.gauss(0, spread) for _ in range(vocabulary)] for _ in range(states)]
        if levels is not None:
            logits = [[round(logit / spread * levels) / levels for logit in row] for row in logits]
        for row in logits:
            row[EOS] += random.choice([-4.0, -1.0, 0.0, 2.0])
        # What a softmax makes of log-probabilities is not always the same to the last bit; of these it is.
        self.logits = torch.tensor(logits)
        self.next = torch.tensor([random.choices(range(states), k=vocabulary) for _ in range(states)])

    def start(self, source: Tensor, valid: Padding, watch_attention: bool = False) -> AutomatonState:
        return AutomatonState(len(source))

    def step(self, tokens: Tensor, state: AutomatonState) -> Tensor:
        state.states = self.next[state.states, tokens]
        return self.logits[state.states]

    def told(self, source: int) -> dict[str, Any]:
        """All that JavaScript needs, log-probabilities as torch rounds them."""
        rows = self.logits.log_softmax(1).tolist()
        return {"rows": rows, "next": self.next.tolist(), "source": source}


def random_case(random: Random) -> tuple[Automaton, GreedySpec | BeamSpec, dict[str, Any]]:
    vocabulary = random.choice([5, 6, 8, 20])
    automaton = Automaton(random, vocabulary, random.choice([None, None, 1, 2]))
    common: dict[str, Any] = {
        "longest_factor": random.choice([0.0, 0.5, 1.0, 1.7]),
        "longest_extra": random.choice([0, 2, 5, 12]),
        "shortest": random.choice([1, 1, 1, 3, 6]),
        "forbidden": random.choice([(0, 2), (0, 2), (0, 1, 2), (), (0, 1, 2, 4)]),
        "no_repeat_ngram": random.choice([None, None, None, 1, 2, 3]),
    }
    if random.random() < 0.25:
        settings, asked = GreedySpec(**common), {"kind": "greedy"}
    else:
        size = random.choice([1, 2, 3, 4, 7])
        common["n_best"] = random.randint(1, size)
        common["length_penalty"] = random.choice([0.0, 0.6, 1.0, 2.0])
        if random.random() < 0.5:
            common["stopping"] = {"kind": "patience", "factor": random.choice([0.2, 0.5, 1.0, 1.5])}
        settings, asked = BeamSpec(size=size, **common), {"kind": "beam", "size": size}
    longest = random.choice([8, 10, 16, 30])
    source = random.randint(1, longest - 1)
    facts = {"start": BOS, "end": EOS, "vocabulary": vocabulary, "longest": longest}
    told = automaton.told(source)
    return automaton, settings, {"automaton": told, "asked": asked, "decoding": common, "facts": facts}


def expected(automaton: Automaton, settings: GreedySpec | BeamSpec, case: dict[str, Any]) -> list[Hypothesis]:
    source = torch.zeros(1, case["automaton"]["source"], dtype=torch.int64)
    limit = case["facts"]["longest"] - 1
    return search(automaton, source, torch.ones_like(source, dtype=torch.bool), settings, model_limit=limit)[
        0
    ]


Compared = list[tuple[list[Hypothesis] | None, dict[str, Any]]]


@pytest.fixture(scope="module")
def compared(tmp_path_factory: pytest.TempPathFactory) -> Compared:
    """What Python finds, None where it refuses, and what JavaScript does."""
    random = Random(19)
    cases = [random_case(random) for _ in range(600)]
    found = run_modules(tmp_path_factory.mktemp("search"), PROGRAM, [case for _, _, case in cases])
    wanted: list[list[Hypothesis] | None] = []
    for case in cases:
        try:
            wanted.append(expected(*case))
        except DecodingError:
            wanted.append(None)
    return list(zip(wanted, found, strict=True))


def test_hypotheses_are_those_of_python(compared: Compared):
    for wanted, found in compared:
        if wanted is None:
            assert found["fault"] in ("stuck", "settings")
            continue
        assert [(tuple(each["ids"]), each["finished"]) for each in found["hypotheses"]] == [
            (each.tokens, each.finished) for each in wanted
        ]
        for ours, theirs in zip(found["hypotheses"], wanted, strict=True):
            assert ours["score"] == pytest.approx(theirs.score, abs=1e-5)
            assert ours["log_probability"] == pytest.approx(theirs.log_probability, abs=1e-5)
            assert ours["token_log_probabilities"] == pytest.approx(theirs.token_log_probabilities, abs=1e-6)


def test_the_cases_have_all_that_can_happen(compared: Compared):
    told = [found for wanted, found in compared if wanted is not None]
    assert {found["fault"] for wanted, found in compared if wanted is None} == {"stuck"}
    hypotheses = [each for found in told for each in found["hypotheses"]]
    assert {each["finished"] for each in hypotheses} == {True, False}
    assert max(len(found["hypotheses"]) for found in told) > 3
    assert sum(found["selected"] > 0 for found in told) > 100
    assert sum(found["selected"] == 0 for found in told) > 100
    assert len(told) > 500


def test_the_tree_has_every_candidate(compared: Compared):
    for wanted, found in compared:
        if wanted is None:
            continue
        nodes = {node["id"]: node for step in found["tree"] for node in step}
        assert len(nodes) == sum(map(len, found["tree"]))
        assert all(node["parent"] is None for node in found["tree"][0])
        for before, step in zip(found["tree"], found["tree"][1:], strict=False):
            living = {node["id"]: node for node in before if node["living"]}
            for node in step:
                total = living[node["parent"]]["total"] + node["log_probability"]
                assert node["total"] == pytest.approx(total, abs=1e-5)
        for hypothesis in found["hypotheses"]:
            assert (
                path_of(nodes, hypothesis["node"])
                == [*hypothesis["ids"], EOS][: len(hypothesis["ids"]) + hypothesis["finished"]]
            )
            assert nodes[hypothesis["node"]]["ended" if hypothesis["finished"] else "living"]


def path_of(nodes: dict[int, dict[str, Any]], leaf: int) -> list[int]:
    """Tokens from the root to a leaf."""
    path: list[int] = []
    place: int | None = leaf
    while place is not None:
        path.insert(0, nodes[place]["token_id"])
        place = nodes[place]["parent"]
    return path


def test_a_beam_considers_twice_its_size_and_greedy_one(tmp_path: Path):
    automaton = Automaton(Random(1), 20, None)
    facts = {"start": BOS, "end": EOS, "vocabulary": 20, "longest": 9}
    asked = [{"kind": "greedy"}, {"kind": "beam", "size": 3}]
    cases = [
        {"automaton": automaton.told(5), "asked": each, "decoding": {}, "facts": facts} for each in asked
    ]
    greedy, beam = run_modules(tmp_path, PROGRAM, cases)
    assert {len(step) for step in greedy["tree"]} == {1}
    assert {len(step) for step in beam["tree"]} == {6}
    for step in beam["tree"]:
        assert sum(node["living"] for node in step) == 3
        assert sorted(step, key=lambda node: -node["total"]) == step


@pytest.mark.parametrize(
    ("decoding", "fault"),
    [({"shortest": 9}, "settings"), ({"forbidden": [0, 20]}, "settings"), ({"no_repeat_ngram": 1}, None)],
)
def test_settings_that_do_not_suit_the_model_are_a_fault(
    decoding: dict[str, Any], fault: str | None, tmp_path: Path
):
    automaton = Automaton(Random(2), 20, None)
    facts = {"start": BOS, "end": EOS, "vocabulary": 20, "longest": 9}
    case = {"automaton": automaton.told(5), "asked": {"kind": "greedy"}, "decoding": decoding, "facts": facts}
    (found,) = run_modules(tmp_path, PROGRAM, [case])
    assert found.get("fault") == fault


def test_what_a_recipe_leaves_out_is_as_in_python(tmp_path: Path):
    program = """
import { searchSettings } from "./runtime/search.js";
tell(cases.map((asked) => searchSettings(asked)));
"""
    greedy, beam = run_modules(tmp_path, program, [{"kind": "greedy"}, {"kind": "beam", "size": 4}])
    for found, spec in ((greedy, GreedySpec()), (beam, BeamSpec())):
        said = spec.model_dump(mode="json")
        # A prefix is not for a page, and greedy search ranks nothing.
        shared = {key: value for key, value in said.items() if key in found}
        assert shared == {key: found[key] for key in shared}
        assert len(shared) >= 6
