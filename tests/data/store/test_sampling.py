"""Samples of streams: the seed and an item's number decide, not how the stream was cut."""

from hypothesis import given
from hypothesis import strategies as st

from whyformer.data.store.text.sampling import StreamSample, random_keys

sizes = st.lists(st.integers(0, 5), min_size=1, max_size=60)


@given(
    sizes=sizes,
    cuts=st.lists(st.integers(1, 9), min_size=1),
    most=st.integers(0, 20),
    room=st.integers(0, 40),
    seed=st.integers(0, 9),
)
def test_the_sample_is_the_smallest_keys_that_fit(
    sizes: list[int], cuts: list[int], most: int, room: int, seed: int
):
    items = [b"x" * size for size in sizes]
    sample = StreamSample(seed, most, room)
    start = 0
    while start < len(items):
        for cut in cuts:
            sample.add([items[start : start + cut]]) if items[start : start + cut] else None
            start += cut
    keys = random_keys(seed, 0, len(items)).tolist()
    expected, used = list[int](), 0
    for number in sorted(range(len(items)), key=keys.__getitem__):
        used += sizes[number]
        if used > room or len(expected) == most:
            break
        expected.append(number)
    assert sample.numbers == expected
    assert sample.items == [(items[number],) for number in sorted(expected)]


def test_keys_of_a_stretch_are_those_of_the_whole():
    whole = random_keys(3, 0, 100)
    assert (random_keys(3, 40, 60) == whole[40:]).all()
    assert len(set(whole.tolist())) == 100
    # Uniform: the mean of a thousand is half of the range, within four of its deviations.
    mean = random_keys(5, 0, 1000).astype(float).mean() / 2**64
    assert abs(mean - 0.5) < 4 * 0.2887 / 1000**0.5
