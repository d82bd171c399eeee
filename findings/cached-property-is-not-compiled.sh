#!/usr/bin/env bash
# In Python 3.11 a function that reads a functools.cached_property is not compiled by torch.compile; by a property kept by hand it is.
#
# Versions:  torch 2.13.0 (CPU), Python 3.11.
# Guess:     torch.compile follows a cached property as it follows any property: it is Python of the standard library that
#            calls one function and keeps the value.
# Seen:      of a function that reads one, no graph is made at all: Python 3.11 takes a lock (threading.RLock) around the
#            call, which dynamo cannot enter, and fullgraph=True is refused for that reason. The same function behind a
#            descriptor of five lines makes one graph.
# So:        a model whose masks or layouts keep values so is computed as if it were not compiled in each function that
#            reads one, without a word; from Python 3.12 on there is no lock.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

[ "$(python3 -c 'import sys; print(sys.version_info[:2])')" = "(3, 11)" ] || { echo "this is about Python 3.11"; exit 0; }
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 2>/dev/null

cat > "$folder/graphs.py" <<'PYTHON'
import functools

import torch


class Kept:
    """A property that is computed once, without a lock."""

    def __init__(self, compute):
        self.compute, self.name = compute, compute.__name__

    def __get__(self, instance, owner=None):
        value = instance.__dict__[self.name] = self.compute(instance)
        return value


def graphs(kind) -> tuple[int, str]:
    class Places:
        def __init__(self, x):
            self.x = x

        @kind
        def first(self):
            return self.x.cumsum(dim=0)

    def forward(x):
        x = x * 2
        return Places(x).first + x

    torch._dynamo.reset()
    return torch._dynamo.explain(forward)(torch.ones(4)).graph_count, whole(forward)


def whole(forward) -> str:
    torch._dynamo.reset()
    try:
        torch.compile(forward, backend="eager", fullgraph=True)(torch.ones(4))
    except torch._dynamo.exc.Unsupported as refusal:
        return "refused for an RLock" if "RLock" in str(refusal) else "refused"
    return "taken"


for name, kind in (("property", property), ("kept by hand", Kept), ("functools.cached_property", functools.cached_property)):
    number, fullgraph = graphs(kind)
    print(f"{name}: graphs {number}, fullgraph {fullgraph}")
PYTHON

seen=$("$folder/env/bin/python" "$folder/graphs.py" 2>/dev/null)
echo "$seen"
expected='property: graphs 1, fullgraph taken
kept by hand: graphs 1, fullgraph taken
functools.cached_property: graphs 0, fullgraph refused for an RLock'
[ "$seen" = "$expected" ] || { echo "this has changed" >&2; exit 1; }
