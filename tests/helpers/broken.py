"""Algorithms that misbehave, each in one way; given to workers as an algorithm file."""

import os
import signal
import sys
import time

import numba
import numpy as np

from algos.naive import Naive


class Segfault(Naive):
    """Algorithm that crashes the process as a bad pointer does."""

    name = "segfault"

    def forward(self, problem, x, prepared, bias, out, threads):
        os.kill(os.getpid(), signal.SIGSEGV)


class Exits(Naive):
    """Algorithm that ends the process without a message."""

    name = "exits"

    def forward(self, problem, x, prepared, bias, out, threads):
        os._exit(3)


class SysExit(Naive):
    """Algorithm that calls sys.exit, as scripts do."""

    name = "sysexit"

    def forward(self, problem, x, prepared, bias, out, threads):
        sys.exit("enough")


class Hangs(Naive):
    """Algorithm that never returns."""

    name = "hangs"

    def forward(self, problem, x, prepared, bias, out, threads):
        time.sleep(3600)


class Raises(Naive):
    """Algorithm that raises an exception of several lines."""

    name = "raises"

    def forward(self, problem, x, prepared, bias, out, threads):
        raise RuntimeError("first line\nsecond line")


class Prints(Naive):
    """Right algorithm that prints to standard output."""

    name = "prints"

    def forward(self, problem, x, prepared, bias, out, threads):
        print("hello\n" * 50)
        os.write(1, b'{"status": "failed", "reason": "forged"}\n')
        super().forward(problem, x, prepared, bias, out, threads)


class Later(Naive):
    """Algorithm that is right four times, then crashes while it is timed."""

    name = "later"
    calls = 0

    def forward(self, problem, x, prepared, bias, out, threads):
        Later.calls += 1
        if Later.calls > 4:
            os._exit(4)
        super().forward(problem, x, prepared, bias, out, threads)


class Confused(Naive):
    """Algorithm whose `why_not` fails."""

    name = "confused"

    def why_not(self, problem, w=None):
        raise KeyError("size")


class Meddles(Naive):
    """Algorithm that changes its input, and is right for the changed input."""

    name = "meddles"

    def forward(self, problem, x, prepared, bias, out, threads):
        x *= 0
        super().forward(problem, x, prepared, bias, out, threads)


class OffByOne(Naive):
    """Algorithm with one element too large by one."""

    name = "off-by-one"

    def forward(self, problem, x, prepared, bias, out, threads):
        super().forward(problem, x, prepared, bias, out, threads)
        out.flat[out.size // 2] += 1


class Unfinished(Naive):
    """Algorithm that leaves its last output unwritten."""

    name = "unfinished"

    def forward(self, problem, x, prepared, bias, out, threads):
        last = out.flat[-1].copy()
        super().forward(problem, x, prepared, bias, out, threads)
        out.flat[-1] = last


class Remembers(Naive):
    """Algorithm that is wrong from its 40th call in a process on."""

    name = "remembers"
    calls = 0

    def forward(self, problem, x, prepared, bias, out, threads):
        Remembers.calls += 1
        super().forward(problem, x, prepared, bias, out, threads)
        if Remembers.calls >= 40:
            out.flat[0] += 1


class Uncompiled(Naive):
    """Algorithm with a kernel that Numba cannot compile."""

    name = "uncompiled"

    def forward(self, problem, x, prepared, bias, out, threads):
        numba.njit(lambda array: array.nosuch)(x)


class Slow(Naive):
    """Slow algorithm, so that a run can be interrupted."""

    name = "slow"

    def forward(self, problem, x, prepared, bias, out, threads):
        time.sleep(0.05)
        super().forward(problem, x, prepared, bias, out, threads)


class Drowsy(Naive):
    """Algorithm whose first call takes half a second."""

    name = "drowsy"
    awake = False

    def forward(self, problem, x, prepared, bias, out, threads):
        if not Drowsy.awake:
            Drowsy.awake = True
            time.sleep(0.5)
        super().forward(problem, x, prepared, bias, out, threads)


class Glutton(Naive):
    """Algorithm that needs far more memory than it predicts."""

    name = "glutton"

    def forward(self, problem, x, prepared, bias, out, threads):
        np.ones(2**33, np.uint8)


class Recompiles(Naive):
    """Algorithm that compiles a new kernel in every other call."""

    name = "recompiles"
    calls = 0

    def forward(self, problem, x, prepared, bias, out, threads):
        Recompiles.calls += 1
        if Recompiles.calls % 2:
            numba.njit(lambda number: number + 1)(Recompiles.calls)
        super().forward(problem, x, prepared, bias, out, threads)
