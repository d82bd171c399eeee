#!/usr/bin/env bash
# torch.set_num_threads is neither of the process nor of the thread that calls it.
#
# Versions:  torch 2.13.0 (CPU, GNU OpenMP), Python 3.11, x86-64 Linux.
# Guess:     a number of the process (whoever asks hears what was set last) or of the thread (nobody hears what another
#            has set).
# Seen:      a thread asks or computes for the first time: it takes what was set last by any thread, and keeps that. So
#            the main thread sets 7, another sets 3, and the main thread has 3; a thread that had 3 keeps it when the main
#            thread sets 5; one that begins then has 5.
# So:        a thread that computes with fewer threads for a while hands its number on, for good, to every thread of the
#            program that uses torch for the first time meanwhile.
# Changes:   the script fails once a line of what it prints is another.
set -euo pipefail

folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
python3 -m venv "$folder/env"
"$folder/env/bin/pip" install --quiet --no-compile torch==2.13.0 numpy==2.4.6 2>/dev/null

cat > "$folder/threads.py" <<'PYTHON'
import threading

import torch


def elsewhere(ask):
    """The answer of a thread that begins now."""
    answers = []
    thread = threading.Thread(target=lambda: answers.append(ask()))
    thread.start()
    thread.join()
    return answers[0]


def set_to(count):
    torch.set_num_threads(count)
    return torch.get_num_threads()


def lives_on():
    before.append(torch.get_num_threads())
    begun.set()
    changed.wait()
    after.append(torch.get_num_threads())


torch.set_num_threads(7)
print("main sets 7: a new thread has", elsewhere(torch.get_num_threads))
print("another sets 3: it has", elsewhere(lambda: set_to(3)))
print("main has", torch.get_num_threads())
begun, changed, before, after = threading.Event(), threading.Event(), [], []
thread = threading.Thread(target=lives_on)
thread.start()
begun.wait()
torch.set_num_threads(5)
changed.set()
thread.join()
print("main sets 5: a thread that had", *before, "has", *after)
print("a new thread has", elsewhere(torch.get_num_threads))
PYTHON

found=$("$folder/env/bin/python" "$folder/threads.py")
echo "$found"
expected='main sets 7: a new thread has 7
another sets 3: it has 3
main has 3
main sets 5: a thread that had 3 has 3
a new thread has 5'
[ "$found" = "$expected" ]
