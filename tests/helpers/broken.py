"""Algorithms that misbehave, each in one way; given to workers as an algorithm file."""

import os
import signal
import sys
import time

import numba
import numpy as np

from algos.naive import Naive


class Segfault(Naive):
    """Crashes as a bad pointer does."""

    name = "segfault"

    def forward(self, problem, x, prepared, bias, out, threads):
        os.kill(os.getpid(), signal.SIGSEGV)


class Exits(Naive):
    """Ends the process without a word."""

    name = "exits"

    def forward(self, problem, x, prepared, bias, out, threads):
        os._exit(3)


class SysExit(Naive):
    """Calls sys.exit, as scripts do."""

    name = "sysexit"

    def forward(self, problem, x, prepared, bias, out, threads):
        sys.exit("enough")


class Hangs(Naive):
    """Never comes back."""

    name = "hangs"

    def forward(self, problem, x, prepared, bias, out, threads):
        time.sleep(3600)


class Raises(Naive):
    """Raises an exception of several lines."""

    name = "raises"

    def forward(self, problem, x, prepared, bias, out, threads):
        raise RuntimeError("first line\nsecond line")


class Prints(Naive):
    """Is right, and talkative on standard output."""

    name = "prints"

    def forward(self, problem, x, prepared, bias, out, threads):
        print("hello\n" * 50)
        os.write(1, b'{"status": "failed", "reason": "forged"}\n')
        super().forward(problem, x, prepared, bias, out, threads)


class Later(Naive):
    """Is right four times, then crashes: in the middle of being timed."""

    name = "later"
    calls = 0

    def forward(self, problem, x, prepared, bias, out, threads):
        Later.calls += 1
        if Later.calls > 4:
            os._exit(4)
        super().forward(problem, x, prepared, bias, out, threads)


class Confused(Naive):
    """Cannot even say what it can do."""

    name = "confused"

    def why_not(self, problem, w=None):
        raise KeyError("size")


class Meddles(Naive):
    """Changes its input, and is right about what it made of it."""

    name = "meddles"

    def forward(self, problem, x, prepared, bias, out, threads):
        x *= 0
        super().forward(problem, x, prepared, bias, out, threads)


class OffByOne(Naive):
    """One more than right, in one element."""

    name = "off-by-one"

    def forward(self, problem, x, prepared, bias, out, threads):
        super().forward(problem, x, prepared, bias, out, threads)
        out.flat[out.size // 2] += 1


class Unfinished(Naive):
    """Leaves its last output as it found it."""

    name = "unfinished"

    def forward(self, problem, x, prepared, bias, out, threads):
        last = out.flat[-1].copy()
        super().forward(problem, x, prepared, bias, out, threads)
        out.flat[-1] = last


class Remembers(Naive):
    """Is right at first, and wrong from its 40th call in a process on."""

    name = "remembers"
    calls = 0

    def forward(self, problem, x, prepared, bias, out, threads):
        Remembers.calls += 1
        super().forward(problem, x, prepared, bias, out, threads)
        if Remembers.calls >= 40:
            out.flat[0] += 1


class Uncompiled(Naive):
    """Calls a kernel that Numba cannot compile."""

    name = "uncompiled"

    def forward(self, problem, x, prepared, bias, out, threads):
        numba.njit(lambda array: array.nosuch)(x)


class Slow(Naive):
    """Takes its time, so that a run can be interrupted."""

    name = "slow"

    def forward(self, problem, x, prepared, bias, out, threads):
        time.sleep(0.05)
        super().forward(problem, x, prepared, bias, out, threads)


class Drowsy(Naive):
    """Needs half a second to wake up."""

    name = "drowsy"
    awake = False

    def forward(self, problem, x, prepared, bias, out, threads):
        if not Drowsy.awake:
            Drowsy.awake = True
            time.sleep(0.5)
        super().forward(problem, x, prepared, bias, out, threads)


class Glutton(Naive):
    """Needs far more memory than it owns up to."""

    name = "glutton"

    def forward(self, problem, x, prepared, bias, out, threads):
        np.ones(2**33, np.uint8)


class Recompiles(Naive):
    """Compiles something new in every other call."""

    name = "recompiles"
    calls = 0

    def forward(self, problem, x, prepared, bias, out, threads):
        Recompiles.calls += 1
        if Recompiles.calls % 2:
            numba.njit(lambda number: number + 1)(Recompiles.calls)
        super().forward(problem, x, prepared, bias, out, threads)
