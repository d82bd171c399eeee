import shutil
from pathlib import Path

import pytest

from whyformer.why.book import prose


@pytest.fixture(autouse=True)
def toy_prose(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of prose, with some for the toy question added."""
    folder = tmp_path_factory.mktemp("prose")
    shutil.copytree(prose.FOLDER, folder, dirs_exist_ok=True)
    (folder / "q99.en.md").write_text("# Answer\n\nSo.\n\n# Caveats\n\nBut.\n\nAnd.\n", encoding="utf-8")
    (folder / "q99.zh.md").write_text(
        "# Answer\n\n如此。\n\n# Caveats\n\n不过。\n\n以及。\n", encoding="utf-8"
    )
    monkeypatch.setattr(prose, "FOLDER", folder)
    return folder
