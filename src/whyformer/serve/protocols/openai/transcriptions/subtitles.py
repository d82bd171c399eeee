"""Subtitles: what was said, in the forms SRT and WebVTT."""

from collections.abc import Iterator, Sequence

from whyformer.tasks.streaming.transcript import Transcript


def subrip(segments: Sequence[Transcript]) -> str:
    """The segments in the form of SubRip files."""
    shown = enumerate(_spans(segments), start=1)
    return "\n".join(f"{n}\n{_time(a, ',')} --> {_time(b, ',')}\n{text}\n" for n, (a, b, text) in shown)


def web_subtitles(segments: Sequence[Transcript], notes: Sequence[str]) -> str:
    """The segments in the form of WebVTT files, with ``notes`` in front."""
    parts = ["WEBVTT\n", *(f"NOTE {note}\n" for note in notes)]
    parts += [f"{_time(a, '.')} --> {_time(b, '.')}\n{text}\n" for a, b, text in _spans(segments)]
    return "\n".join(parts)


def _spans(segments: Sequence[Transcript]) -> Iterator[tuple[float, float, str]]:
    """Beginning and end in seconds, and text, of each segment in which something was said."""
    for each in segments:
        if each.words:
            yield each.words[0].start, each.words[-1].end, each.text


def _time(seconds: float, point: str) -> str:
    """A time of day, to the millisecond.

    >>> _time(3725.0625, ",")
    '01:02:05,062'
    """
    whole, milliseconds = divmod(round(seconds * 1000), 1000)
    minutes, second = divmod(whole, 60)
    hour, minute = divmod(minutes, 60)
    return f"{hour:02}:{minute:02}:{second:02}{point}{milliseconds:03}"
