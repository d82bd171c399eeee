"""The service: each answer is what its run gives offline, whoever else is served and whatever happens."""

import asyncio
import threading
from collections.abc import Sequence
from random import Random

import pytest
import torch

from serve.batching.toys import (
    WORDS,
    asking,
    hosted,
    texts,
    toy_filler,
    toy_generator,
    toy_translator,
)
from whyformer.decoding.beam import BeamSpec
from whyformer.decoding.greedy import GreedySpec
from whyformer.decoding.sampling import SamplingSpec
from whyformer.decoding.search import SearchSpec
from whyformer.engines.native.library import missing
from whyformer.errors import CheckpointError, DecodingError
from whyformer.serve.refusals import AbandonedError, DrainingError, UnknownRunError
from whyformer.serve.service import HostedRun, Service
from whyformer.tasks.output import TextOutput

needs_native = pytest.mark.skipif(missing() is not None, reason="needs the native engine compiled")
WAYS: list[SearchSpec | None] = [
    None,
    GreedySpec(longest_extra=3, no_repeat_ngram=1),
    BeamSpec(size=3, n_best=2, longest_extra=8),
    SamplingSpec(seed=1, samples=2, longest_extra=6),
    SamplingSpec(seed=2, top_k=9, longest_extra=6),
]
TOO_LONG = " ".join(WORDS)
Outputs = list[list[TextOutput]]


def same(found: Outputs, expected: Outputs, *, exact: bool) -> bool:
    """Whether all texts are the same, and their scores, to the last bit if ``exact``."""
    if exact:
        return found == expected
    pairs = [*zip([o for each in found for o in each], [o for each in expected for o in each], strict=True)]
    return [len(each) for each in found] == [len(each) for each in expected] and all(
        a.ids == b.ids and a.text == b.text and a.score == pytest.approx(b.score, abs=1e-4) for a, b in pairs
    )


@pytest.mark.parametrize(
    "engine",
    ["torch", pytest.param("fp32", marks=needs_native), pytest.param("int8", marks=needs_native)],
)
def test_answers_do_not_depend_on_who_else_is_served(engine: str) -> None:
    translator = toy_translator(engine)  # pyright: ignore[reportArgumentType]
    service = Service([hosted("toy", "translation", translator)], workers=2)
    run, random = service.find("toy", "translation"), Random(7)

    async def client(number: int) -> tuple[Sequence[str], SearchSpec | None, Outputs | BaseException]:
        await asyncio.sleep(random.random() / 20)
        asked, way = texts(random, random.randrange(1, 6)), random.choice(WAYS)
        if number % 10 == 3:
            asked.insert(random.randrange(len(asked)), TOO_LONG)
        who = asking()
        work = asyncio.ensure_future(service.translate(run, asked, way, who))
        if number % 10 == 5:
            await asyncio.sleep(random.random() / 50)
            who.gone = True
        (found,) = await asyncio.gather(work, return_exceptions=True)
        return asked, way, found

    async def main() -> None:
        kinds = set[str]()
        for asked, way, found in await asyncio.gather(*map(client, range(24 if engine == "torch" else 48))):
            if isinstance(found, AbandonedError):
                kinds.add("gone")
            elif isinstance(found, DecodingError):
                assert str(found).startswith(f"line {asked.index(TOO_LONG) + 1} has ")
                kinds.add("too long")
            else:
                assert not isinstance(found, BaseException)
                assert same(found, translator.translate(asked, way), exact=engine != "torch")
                kinds.add("answered")
        assert kinds >= {"too long", "answered"}

    asyncio.run(main())


def test_continuations_do_not_either() -> None:
    generator = toy_generator()
    service = Service([hosted("toy", "causal_lm", generator)], workers=2)
    run, random = service.find(None, "causal_lm"), Random(3)
    ways = [
        None,
        BeamSpec(size=2, longest_factor=0.0, longest_extra=5),
        SamplingSpec(seed=4, longest_factor=0.0, longest_extra=9),
    ]
    asked = [(texts(random, random.randrange(1, 4)), random.choice(ways)) for _ in range(10)]

    async def main() -> None:
        found = await asyncio.gather(
            *(service.generate(run, prompts, way, asking()) for prompts, way in asked)
        )
        for (prompts, way), each in zip(asked, found, strict=True):
            assert same(each, generator.generate(prompts, way), exact=False)

    asyncio.run(main())


def test_streams_go_side_by_side_and_their_pieces_are_the_text() -> None:
    generator = toy_generator()
    service = Service([hosted("toy", "causal_lm", generator)])
    run = service.find(None, "causal_lm")
    prompts = texts(Random(1), 10, blank=False)
    settings = SamplingSpec(seed=1, longest_factor=0.0, longest_extra=20)

    async def stream(prompt: str) -> tuple[str, int, bool | None]:
        pieces = [piece async for piece in service.stream(run, prompt, settings, asking())]
        return "".join(piece.text for piece in pieces), pieces[-1].tokens, pieces[-1].finished

    async def main() -> None:
        found = await asyncio.gather(*map(stream, prompts))
        expected = [output for (output,) in (generator.generate([each], settings)[0] for each in prompts)]
        assert found == [(output.text, output.written, output.finished) for output in expected]
        with pytest.raises(DecodingError, match="prompt 1 has"):
            await stream(TOO_LONG)

    asyncio.run(main())


def test_a_stream_ends_when_its_client_leaves(monkeypatch: pytest.MonkeyPatch) -> None:
    generator = toy_generator()
    service = Service([hosted("toy", "causal_lm", generator)])
    run, steps = service.find(None, "causal_lm"), threading.Semaphore(0)
    step, count = generator.model.step, 0

    def slow_step(*given: torch.Tensor) -> torch.Tensor:
        nonlocal count
        assert steps.acquire(timeout=60)
        count += 1
        return step(*given)  # pyright: ignore[reportArgumentType]

    monkeypatch.setattr(generator.model, "step", slow_step)
    settings = GreedySpec(longest_factor=0.0, longest_extra=30, shortest=30)

    async def main() -> None:
        for _ in range(3):
            steps.release()
        stream = service.stream(run, "w1", settings, asking())
        for _ in range(2):
            await anext(stream)
        await stream.aclose()
        steps.release(50)
        for _ in range(600):
            if service.figures()["toy"]["streams"].calls == 1:
                break
            await asyncio.sleep(0.05)
        assert count <= 5

    asyncio.run(main())


def test_vectors_holes_and_other_work() -> None:
    filler, embedder = toy_filler()
    translator = toy_translator()
    service = Service(
        [hosted("bert", "masked_lm", filler, embedder), hosted("toy", "translation", translator)]
    )
    bert, toy = service.find("bert", "masked_lm"), service.find("toy", "translation")
    some, others = texts(Random(1), 5, blank=False), texts(Random(2), 3)
    holes = [f"w1 [MASK] {text}" for text in some]

    async def main() -> None:
        found = await asyncio.gather(
            *(service.embed(bert, asked, asking()) for asked in (some, others, [])),
        )
        assert found[2].shape == (0, embedder.width)
        for vectors, asked in zip(found, (some, others), strict=False):
            torch.testing.assert_close(vectors, embedder.embed(asked), equal_nan=True, rtol=0, atol=1e-4)
        filled, two = await asyncio.gather(
            service.fill(bert, holes, 5, asking()), service.fill(bert, holes[:2], 3, asking())
        )
        assert [each.text for each in filled] == [each.text for each in filler.fill(holes)]
        assert [len(each.holes[0]) for each in two] == [3, 3]
        with pytest.raises(DecodingError, match=r"text 2 has no \[MASK\]"):
            await service.fill(bert, [holes[0], "w1"], 3, asking())
        with pytest.raises(UnknownRunError, match="makes no vectors"):
            await service.embed(toy, some, asking())
        assert (await service.explain(toy, "w1 w2", None, asking())).source == "w1 w2"
        assert await service.look(toy, lambda runner: runner is translator, asking())

    asyncio.run(main())


def test_a_run_is_loaded_anew_without_a_dropped_request() -> None:
    versions = [toy_translator(seed=seed) for seed in (1, 2, 3)]
    loads = iter([*versions[1:], None])

    def reopen() -> HostedRun:
        runner = next(loads)
        if runner is None:
            raise CheckpointError("the weights are damaged.")
        return HostedRun("toy", "translation", runner, str(versions.index(runner)), 0, None, reopen)

    service = Service([HostedRun("toy", "translation", versions[0], "0", 0, None, reopen)])
    asked = texts(Random(5), 4, blank=False)
    expected = [[each[0].text for each in version.translate(asked)] for version in versions]
    assert len({*map(tuple, expected)}) == 3
    over = False

    async def client() -> int:
        count = 0
        while not over:
            run = service.find("toy", "translation")
            found = await service.translate(run, asked, None, asking())
            assert [each[0].text for each in found] == expected[int(run.weights)]
            count += 1
        return count

    async def main() -> None:
        nonlocal over
        clients = [asyncio.ensure_future(client()) for _ in range(5)]
        for _ in range(2):
            await asyncio.sleep(0.1)
            await service.reload("toy")
        with pytest.raises(CheckpointError, match="damaged"):
            await service.reload()
        over = True
        assert all(count > 0 for count in await asyncio.gather(*clients))
        assert service.find(None, "translation").weights == "2"

    asyncio.run(main())


def test_a_service_that_drains_answers_what_it_has_taken_and_nothing_else() -> None:
    translator = toy_translator()
    service = Service([hosted("toy", "translation", translator)])
    run, asked = service.find(None, "translation"), texts(Random(6), 30)

    async def main() -> None:
        # It has been idle before.
        _ = await service.translate(run, asked[:1], None, asking())
        works = [asyncio.ensure_future(service.translate(run, asked, None, asking())) for _ in range(3)]
        await asyncio.sleep(0)
        draining = asyncio.ensure_future(service.drain())
        await asyncio.sleep(0)
        with pytest.raises(DrainingError) as refused:
            await service.translate(run, asked, None, asking())
        assert refused.value.retry_after
        await draining
        assert all(work.done() for work in works)
        assert await works[2] == await works[0]
        await service.drain()

    asyncio.run(main())


def test_queues_are_watched() -> None:
    class Watcher:
        def __init__(self) -> None:
            self.waits, self.sizes = list[float](), list[int]()

        def waited(self, run: str, seconds: float) -> None:
            assert run == "toy"
            self.waits.append(seconds)

        def batched(self, run: str, texts: int) -> None:
            self.sizes.append(texts)

    service, watcher = Service([hosted("toy", "translation", toy_translator())]), Watcher()
    service.observe(watcher)

    async def main() -> None:
        run = service.find(None, "translation")
        for count in (3, 100):
            await service.translate(run, texts(Random(1), count), None, asking())
        assert service.depths() == {"toy": 0}
        while service.figures()["toy"]["calls"].items < 103:
            await asyncio.sleep(0.001)

    asyncio.run(main())
    assert len(watcher.waits) == 2
    assert min(watcher.waits) >= 0
    assert sum(watcher.sizes) == 103
