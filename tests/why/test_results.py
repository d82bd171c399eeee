"""Results are read back to the last bit, and a seed is measured twice only where something has changed."""

import json
import random
import warnings
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from math import copysign, inf, isnan, nan
from pathlib import Path
from struct import pack

import pytest
import torch
from typing_extensions import override

from why.toy import ARM, HEAT, HOLDS, LINE, OTHER, QUESTION, Toy, claim
from whyformer.errors import WhyformerNote
from whyformer.machine import processor_name
from whyformer.why.question import Findings, Measurements, Question, Text
from whyformer.why.results import SeedResults, concluded, result_record


class Counted(Toy):
    """Notes which seeds it measured; fails at one of them, as a run that is killed."""

    @override
    def measure(self, seed: int) -> Measurements:
        CALLS.append(seed)
        if seed == KILLED_AT[0]:
            raise KeyboardInterrupt
        return super().measure(seed)


CALLS: list[int] = []
KILLED_AT = [0]
COUNTED = replace(QUESTION, experiment=Counted())


@pytest.fixture(autouse=True)
def _fresh() -> Iterator[None]:
    yield
    CALLS.clear()
    KILLED_AT[0] = 0


def ask(folder: Path, question: Question = COUNTED, seeds: int = 3) -> Findings:
    results = SeedResults(question, folder)
    wanted = range(1, seeds + 1)
    known = results.read(wanted)
    return concluded(question, {seed: known.get(seed) or results.measure(seed) for seed in wanted})


def measured_anew(folder: Path, question: Question, reason: str) -> list[int]:
    CALLS.clear()
    with pytest.warns(WhyformerNote, match=reason):
        ask(folder, question)
    return CALLS


def keep(folder: Path, measured: Measurements) -> Measurements:
    class Fixed(Toy):
        @override
        def measure(self, seed: int) -> Measurements:
            return measured

    results = SeedResults(replace(QUESTION, experiment=Fixed()), folder)
    results.measure(1)
    return results.read([1])[1].measurements


def test_all_that_was_measured_comes_back(tmp_path: Path):
    draw = random.Random(0)
    numbers = [0.1 + 0.2, -0.0, 5e-324, 1.7976931348623157e308, 1e22, 3, inf, -inf]
    numbers += [draw.uniform(-1, 1) * 10.0 ** draw.randint(-300, 300) for _ in range(2000)]
    measured = Measurements({(LINE, ARM, at): value for at, value in enumerate(numbers)})
    measured[LINE, OTHER, 0.1] = measured[LINE, OTHER, inf] = 7.0
    measured[HEAT, OTHER, Text("here", "此处")] = 2.5
    measured[HEAT, ARM, Text("7", "7")] = 1e-7
    back = keep(tmp_path, measured)
    assert [*back] == [*measured]  # the order too
    assert [pack("d", each) for each in back.values()] == [pack("d", each) for each in measured.values()]
    assert [type(each) for each in back.values()] == [type(each) for each in measured.values()]
    assert copysign(1.0, back[LINE, ARM, 1]) == -1.0


def test_not_a_number_comes_back(tmp_path: Path):
    assert isnan(keep(tmp_path, Measurements({(LINE, ARM, 1): nan}))[LINE, ARM, 1])


def test_the_file_is_json(tmp_path: Path):
    keep(tmp_path, Measurements({(LINE, ARM, 1): inf, (LINE, ARM, 2): nan}))

    def refuse(word: str) -> None:
        raise AssertionError(word)

    text = (tmp_path / "q99" / "seed-1.json").read_text(encoding="utf-8")
    kept = json.loads(text, parse_constant=refuse)
    assert kept["provenance"]["question"] == 99
    assert kept["provenance"]["torch"] == torch.__version__
    assert date.fromisoformat(kept["date"]) >= date(2026, 11, 28)
    assert kept["machine"] == processor_name()
    assert kept["seconds"] > 0


def test_a_verdict_that_was_read_is_the_one_that_was_measured(tmp_path: Path):
    first, second = ask(tmp_path), ask(tmp_path)
    assert CALLS == [1, 2, 3]
    assert second == first
    assert (second.verdict, second.seconds) == ("supported", first.seconds)
    assert result_record(second) == result_record(first)


def test_a_run_that_was_killed_resumes_after_its_last_seed(tmp_path: Path):
    KILLED_AT[0] = 3
    with pytest.raises(KeyboardInterrupt):
        ask(tmp_path)
    assert CALLS == [1, 2, 3]
    KILLED_AT[0] = 0
    assert [*ask(tmp_path).measured] == [1, 2, 3]
    assert CALLS == [1, 2, 3, 3]


def test_more_seeds_add_to_those_that_are_there(tmp_path: Path):
    ask(tmp_path)
    assert [*ask(tmp_path, seeds=5).measured] == [1, 2, 3, 4, 5]
    assert CALLS == [1, 2, 3, 4, 5]


def test_other_settings_are_measured_again(tmp_path: Path):
    ask(tmp_path)
    other = replace(COUNTED, experiment=Counted(step=2.0))
    assert measured_anew(tmp_path, other, r"q99: seeds 1, 2, 3: .*\(settings\); measured anew") == [1, 2, 3]


def test_another_experiment_is_measured_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    ask(tmp_path)
    monkeypatch.setattr("whyformer.why.results.code_fingerprint", lambda _: "another")
    assert measured_anew(tmp_path, COUNTED, r"\(experiment\)") == [1, 2, 3]


def test_another_torch_is_measured_again_and_other_threads_are_not(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    ask(tmp_path)
    monkeypatch.setattr(torch, "get_num_threads", lambda: 99)
    ask(tmp_path)
    assert CALLS == [1, 2, 3]
    monkeypatch.setattr(torch, "__version__", "0.0")
    assert measured_anew(tmp_path, COUNTED, r"\(torch\)") == [1, 2, 3]


def test_numbers_keep_their_names_when_the_chinese_or_the_marks_change(tmp_path: Path):
    ask(tmp_path)
    line = replace(LINE, title=Text("line", "折线"), mark="bar")
    renamed = Text("arm", "另一个名字")
    reads = replace(claim(HOLDS), value=lambda measured: measured[line, renamed, 1])
    findings = ask(tmp_path, replace(COUNTED, figures=(line, HEAT), claims=(reads,)))
    assert findings.judgements[0].values == [2.0, 3.0, 4.0]
    assert findings.numbers(line)
    assert {figure.title.zh for figure, _, _ in findings.measured[1]} == {"折线", "热图"}
    assert CALLS == [1, 2, 3]


def test_other_claims_judge_the_same_numbers(tmp_path: Path):
    ask(tmp_path)
    other = replace(COUNTED, claims=(replace(claim(HOLDS), control=True), claim(HOLDS, at=2)))
    assert len(ask(tmp_path, other).judgements) == 2
    assert CALLS == [1, 2, 3]


@pytest.mark.parametrize("content", ["", "{}", '{"provenance": 1}', "\0\xff", "cut"])
def test_a_damaged_file_is_measured_again(tmp_path: Path, content: str):
    ask(tmp_path)
    path = tmp_path / "q99" / "seed-2.json"
    text = path.read_text(encoding="utf-8")
    path.write_bytes(text[: len(text) // 2].encode() if content == "cut" else content.encode("latin-1"))
    assert measured_anew(tmp_path, COUNTED, "q99: seed 2: damaged") == [2]
    assert path.read_text(encoding="utf-8") != text[: len(text) // 2]
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        ask(tmp_path)  # it is whole again


def test_a_number_of_no_figure_is_damage(tmp_path: Path):
    ask(tmp_path)
    path = tmp_path / "q99" / "seed-2.json"
    kept = json.loads(path.read_text(encoding="utf-8"))
    kept["figures"].pop()
    path.write_text(json.dumps(kept), encoding="utf-8")
    assert measured_anew(tmp_path, COUNTED, "q99: seed 2: damaged") == [2]


def test_the_file_of_another_seed_is_measured_again(tmp_path: Path):
    ask(tmp_path)
    (tmp_path / "q99" / "seed-1.json").replace(tmp_path / "q99" / "seed-2.json")
    assert measured_anew(tmp_path, COUNTED, "seed 2: the file is of another seed") == [1, 2]
