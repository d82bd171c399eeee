"""Experiments for processes of their own, which find them by their names."""

import os
import threading
import time
from pathlib import Path

import torch
from typing_extensions import override

from why.toy import ARM, LINE, Toy
from whyformer.errors import TrainingError
from whyformer.why.question import Measurements


class Noisy(Toy):
    """What a generator makes of the seed, and what the process is like; leaves a mark of each beginning."""

    marks: str
    """Folder of the marks."""
    slow: int = 0
    """The seed that takes minutes."""
    faulty: int = 0
    """The seed that ends in a sentence."""
    bug: int = 0
    """The seed that ends in an error."""
    crash: int = 0
    """The seed whose process ends at once."""

    @override
    def measure(self, seed: int) -> Measurements:
        with (Path(self.marks) / str(seed)).open("a", encoding="utf-8") as mark:
            mark.write(f"{os.getpid()} {torch.get_num_threads()} {os.environ['OMP_NUM_THREADS']}\n")
        if seed == self.slow:
            time.sleep(60)
        if seed == self.faulty:
            raise TrainingError("the machine is too slow.")
        if seed == self.bug:
            raise ZeroDivisionError("by nought")
        if seed == self.crash:
            os._exit(7)
        torch.manual_seed(seed)
        measured = self.measured(seed)
        measured[LINE, ARM, 1] = float(torch.randn(1000, 30).softmax(0).std() + torch.rand(()))
        measured[LINE, ARM, 2] = float(threading.active_count())
        return measured
