"""Firefox as Debian has it, spoken to by WebDriver BiDi, which it understands without any driver."""

import json
import re
import shutil
import subprocess
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from websockets.sync.client import ClientConnection, connect

FIREFOX = next(filter(None, map(shutil.which, ("firefox-esr", "firefox"))), None)
_PATIENCE = 60
_LISTENING = re.compile(r"WebDriver BiDi listening on (ws://\S+)")


class Tab:
    """A tab, and what its console has heard."""

    def __init__(self, socket: ClientConnection) -> None:
        self._socket = socket
        self._number = 0
        self.heard: list[str] = []
        self.say("session.new", {"capabilities": {}})
        self.say("session.subscribe", {"events": ["log.entryAdded"]})
        self._context = self.say("browsingContext.getTree", {})["contexts"][0]["context"]

    def say(self, method: str, parameters: dict[str, Any]) -> Any:
        """Send a command and wait for its result."""
        self._number += 1
        self._socket.send(json.dumps({"id": self._number, "method": method, "params": parameters}))
        while True:
            told = json.loads(self._socket.recv(timeout=_PATIENCE))
            if told.get("method") == "log.entryAdded":
                self.heard.append(told["params"]["text"])
            elif told.get("id") == self._number:
                assert told["type"] == "success", told
                return told["result"]

    def open(self, address: str) -> None:
        """Go to ``address`` and wait until all of it is loaded."""
        self.say("browsingContext.navigate", {"context": self._context, "url": address, "wait": "complete"})

    def evaluate(self, expression: str) -> Any:
        """What a JavaScript expression comes to, as JSON has it; promises are awaited."""
        result = self.say(
            "script.evaluate",
            {
                "expression": f"(async () => JSON.stringify(await ({expression})))()",
                "target": {"context": self._context},
                "awaitPromise": True,
            },
        )
        assert result["type"] == "success", result
        return json.loads(result["result"]["value"])


@contextmanager
def firefox_tab(profile: Path) -> Generator[Tab]:
    """A tab of a fresh Firefox without a window."""
    assert FIREFOX is not None
    command = [FIREFOX, "--headless", "--no-remote", "--profile", profile, "--remote-debugging-port", "0"]
    started = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    try:
        assert started.stderr is not None
        found = next(filter(None, map(_LISTENING.search, started.stderr)))
        with connect(f"{found[1]}/session", max_size=None) as socket:
            yield Tab(socket)
    finally:
        started.terminate()
        started.communicate(timeout=_PATIENCE)
