"""Labels of texts: their plain form, and those that are likely mistaken."""

import unicodedata
from collections.abc import Iterator, Mapping

from whyformer.data.corpora.detection.blank import INVISIBLE


def trimmed_label(label: str) -> str:
    """A label without white space around it, no-break space and invisible characters included."""
    return " ".join(label.translate(dict.fromkeys(map(ord, INVISIBLE))).split())


def label_notes(counts: Mapping[str, int]) -> Iterator[str]:
    """Sentences on labels that are likely mistaken; ``counts`` are the numbers of examples by label."""
    single = [label for label, count in counts.items() if count == 1]
    if single:
        shown = ", ".join(single[:9]) + (" …" if len(single) > 9 else "")
        yield f"data.train: a single example has the label {shown}; is it misspelt, or is more to be found?"
    alike: dict[str, list[str]] = {}
    for label in counts:
        alike.setdefault(unicodedata.normalize("NFKC", label).casefold(), []).append(label)
    for labels in alike.values():
        if len(labels) > 1:
            named = " and ".join(f"{label} ({counts[label]:,})" for label in sorted(labels))
            yield f"data.train: the labels {named} differ in case or form alone and are classes of their own."
