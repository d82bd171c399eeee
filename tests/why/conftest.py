import shutil
from pathlib import Path

import pytest

from whyformer.why.book import prose

ENGLISH = {
    "Headline (supported)": "It is {{it:.1f}}.",
    "Short": "So it is. [^it] It is so by definition. [^def]",
    "Answer": "So. [^it]\n\nIndeed. [^-]",
    "Derivation": "$a^2 = b$",
    "Common": "- **It is not.** It is {{it:.1f}}.",
    "Points": "- Say so.",
    "Follow-ups": "- One? Yes.\n- Two? No.\n- Three? Perhaps.",
    "Caveats": "But.\n\nAnd.",
}
CHINESE = {
    "Headline (supported)": "结果是 {{it:.1f}}。",
    "Short": "就是这样。[^it] 由定义可知。[^def]",
    "Answer": "如此。[^it]\n\n的确。[^-]",
    "Derivation": "$a^2 = b$",
    "Common": "- **不是这样。** 实测 {{it:.1f}}。",
    "Points": "- 说清楚。",
    "Follow-ups": "- 一？是。\n- 二？否。\n- 三？也许。",
    "Caveats": "不过。\n\n以及。",
}


def markdown(parts: dict[str, str]) -> str:
    return "\n\n".join(f"# {name}\n\n{text}" for name, text in parts.items()) + "\n"


@pytest.fixture(autouse=True)
def toy_prose(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of prose, with some for the toy question added."""
    folder = tmp_path_factory.mktemp("prose")
    shutil.copytree(prose.FOLDER, folder, dirs_exist_ok=True)
    (folder / "q99.en.md").write_text(markdown(ENGLISH), encoding="utf-8")
    (folder / "q99.zh.md").write_text(markdown(CHINESE), encoding="utf-8")
    monkeypatch.setattr(prose, "FOLDER", folder)
    return folder
