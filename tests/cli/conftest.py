"""How the verbs are called."""

from collections.abc import Callable

import pytest
from typer.testing import CliRunner, Result

from whyformer.cli.main import app


@pytest.fixture
def whyformer() -> Callable[..., Result]:
    """The program in this process, as in ``whyformer("translate", run, stdin="0 1")``; bugs are raised."""

    def run(*arguments: object, stdin: str | bytes | None = None) -> Result:
        result = CliRunner().invoke(app, [str(argument) for argument in arguments], input=stdin)
        if result.exception is not None and not isinstance(result.exception, SystemExit):
            raise result.exception
        return result

    return run
