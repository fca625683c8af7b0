"""The command line as a user meets it: a real process, its words and its exit code."""

import argparse
import json
import os
import subprocess
import sys
from dataclasses import fields
from pathlib import Path

import pytest
from command_line import CONVBENCH, complaint, convbench, environment

from suites.cli import COMMANDS, load

PROBLEM = "mb1_ic2ih12_oc2_kh3"


@pytest.mark.parametrize(
    "command", [None, *(pytest.param(name, marks=pytest.mark.slow) for name in ("run", "list"))]
)
def test_help_shows_examples(command, tmp_path):
    done = convbench(*([command] if command else []), "--help", cwd=tmp_path)
    assert done.returncode == 0
    assert done.stderr == ""
    _, examples = done.stdout.lower().split("example", 1)
    assert f"convbench {command or 'run'}" in examples
    assert max(map(len, done.stdout.split("\n"))) <= 100


MISTAKES = {
    "runn": "did you mean 'run'",
    "run quik": "did you mean 'quick'",
    "run --bogus": "unrecognized arguments: --bogus",
    "run --algorithms ffft": "did you mean 'fft'",
    "run --algorithms ,": "names none",
    "run --algorithms parallel@chanels_last": "did you mean 'channels_last'",
    "run --algorithms paralel@channels_last": "did you mean 'parallel'",
    "run --algorithms parallel,torch@channels_last": "write torch",
    "verify --algorithms parallel@channels_last": "convbench verify takes from the problem",
    "run --baseline navie": "did you mean 'naive'",
    "run --algorithms naive --baseline fft": "not among the algorithms to be timed",
    "run --threads 0": "expected counts such as 1 or 1,2",
    "run --threads 1,x": "expected counts such as 1 or 1,2",
    "run --threads ²": "expected counts such as 1 or 1,2",
    "run --threads 9999": "this machine offers",
    "run --budget -1": "positive number of seconds",
    "run --budget soon": "'soon' must be a positive number of seconds",
    "run --budget inf": "positive number of seconds",
    "run --call-limit 0": "positive number of seconds",
    "run --timeout nan": "positive number of seconds",
    "run --seed -1": "whole number from 0 on",
    "run --seed 1.5": "whole number from 0 on",
    "run --weights rank1": "with --problem or --batch",
    "run quick --problem mb1_ic1ih5_oc1_kh3": "choose one",
    "run --problem hello": "column 1",
    "run --problem ''": "descriptor ''",
    "run --problem mb1_ic1ih5_oc1_kh9": "the kernel spans 9 samples",
    "run --problem mb1_ic1ih10_oc1_kh3_sh2_exact": "stride 2 does not fit",
    "run --problem mb1_ic1ih5_oc1_kh3 --dtype float16": "did you mean 'float64'",
    "run --problem mb1_ic1ih5_oc1_kh3 --dtype int32": "'int32' is not supported",
    "run --problem mb1_ic1ih5_oc1_kh3 --weights gausian": "did you mean 'gaussian'",
    "run --problem mb1_ic1ih5_oc1_kh3 --weights no.npy": "no.npy",
    "run --problem mb1_ic1ih300000_oc1_kh3": "may be used",
    "run --input ok.npy": "--kernel gaussian:15",
    "run --kernel gaussian:3": "--kernel goes with --input",
    "run quick --boundary wrap": "--boundary and --cval go with --input",
    "run --input ok.npy --kernel gausian:3": "did you mean 'gaussian'",
    "run --input ok.npy --kernel gaussian:0": "whole number of taps",
    "run --input ok.npy --kernel holes.npy": "holds NaN",
    "run --input empty.npy --kernel gaussian:3": "none of them empty",
    "run --input complex.npy --kernel gaussian:3": "complex128",
    "run --input text.npy --kernel gaussian:3": "real-valued",
    "run --input objects.npy --kernel gaussian:3": "cannot be read",
    "run --input scalar.npy --kernel gaussian:3": "shape ()",
    "run --input torn.npy --kernel gaussian:3": "cannot be read",
    "run --input missing.npy --kernel gaussian:3": "No such file",
    "run --input junk.png --kernel gaussian:3": "cannot be read",
    "run --input . --kernel gaussian:3": "not known",
    "run bad.toml": "not TOML",
    "run key.toml": "did you mean 'problems'",
    "run missing.toml": "does not exist",
    "run --model text.onnx": "is no ONNX file",
    "run --model missing.onnx": "No such file",
    "run --model none.onnx": "holds no convolution or pooling layer",
    "run --model text.onnx --input ok.npy": "choose one",
    "run --batch-size 4": "--batch-size goes with --model",
    "run --model none.onnx --batch-size 0": "whole number from 1 on",
    "explain --model text.onnx": "is no ONNX file",
    "run --batch bad.batch": "bad.batch, line 2, column 1",
    "run --batch none.batch": "no descriptor",
    "run --batch binary.batch": "cannot be read",
    "run --batch missing.batch": "No such file",
    "run --algorithm-file missing.py": "does not exist",
    "run --algorithm-file nothing.py": "defines no algorithm",
    "run --algorithm-file import.py": "No module named 'nosuchmodule'",
    "run --algorithm-file exit.py": "SystemExit",
    "run --algorithm-file syntax.py": "SyntaxError",
    "run --algorithm-file crash.py": "cannot be loaded: its process was ended by SIGSEGV",
    "verify --algorithm-file leave.py": "cannot be loaded: its process exited with code 3",
    "run --algorithm-file ok.npy": "no Python file",
    "verify --algorithm-file clash.py": "a name that is taken",
    "verify --cases 0": "whole number from 1 on",
    "verify --algorithms nope": "there is no algorithm 'nope'",
    "verify --threads 9999": "this machine offers",
    "verify --threads 1,2": "one number of threads",
    "verify --problem zzz": "column 1",
    "verify --weights rank1": "with --problem or --batch",
    "explain": "explain takes one thing",
    "explain quik": "did you mean 'quick'",
    "explain mb1_zz3": "column 5",
    "explain mb1_ic1ih8_oc1_kh3 --memory lots": "a size such as 64MiB",
    "explain mb1_ic1ih8_oc1_kh3 --accuracy high": "accuracy",
    "explain mb1_ic1ih8_oc1_kh3 --threads 1,1,0": "expected counts",
    "explain mb1_ic1ih8_oc1_kh3 --run x": "--run goes with a suite",
    "explain mb1_ic1ih8_oc1_kh3 --weights gausian": "did you mean 'gaussian'",
    "explain inception_mb1_ic8ih8_ones=4_threes=4_fives=4_pooled=4": "is made of several layers",
    "tune quik": "did you mean 'quick'",
    "tune --budget soon": "a time such as 30s",
    "tune --import missing.json": "cannot be read",
    "tune --import key.toml": "holds no wisdom",
    "tune everyday --count 9999": "ask for 1 to 2000",
    "tune --problem inception_mb1_ic8ih8_ones=4_threes=4_fives=4_pooled=4": "no problem here",
    "regret nope": "no runs yet",
    "regret --count 0": "whole number from 1 on",
    "regret --resume nope": "no runs yet",
    "regret nope --problem mb1_ic1ih8_oc1_kh3": "leave out --problem",
    "list": "required",
    "list thing": "invalid choice: 'thing'",
    "list problems": "whose problems?",
    "list problems vgg": "did you mean 'vgg16'",
    "report nope": "no runs yet",
    "report": "no runs yet",
    "env extra": "unrecognized arguments",
    "claims edge-detektion": "did you mean 'edge-detection'",
}


#: Program that runs each line of its input as a command. One process does them all, since 60
#: starts of Python would take a minute.
DRIVER = """
import contextlib, io, json, shlex, sys
from suites.cli import main

for line in json.load(sys.stdin):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        try:
            code = main(shlex.split(line))
        except SystemExit as end:
            code = end.code
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


@pytest.mark.slow
def test_every_mistake_is_one_sentence(folder, tmp_path):
    lines = [
        line + (f" --runs {tmp_path / 'runs'}" if line.startswith(("run ", "report")) else "")
        for line in MISTAKES
    ]
    driven = subprocess.run(
        [sys.executable, "-c", DRIVER], cwd=folder, env=environment(), input=json.dumps(lines),
        capture_output=True, text=True, timeout=120,
    )  # fmt: skip
    assert driven.returncode == 0, driven.stderr
    finished = map(json.loads, driven.stdout.splitlines())
    for (line, part), (code, out, err) in zip(MISTAKES.items(), finished, strict=True):
        done = subprocess.CompletedProcess(line, code, out, err)
        assert part in complaint(done), line
        assert out == "", line
    assert not (tmp_path / "runs").exists()


@pytest.mark.parametrize(
    "line",
    [
        "run --threads ²",
        *(
            pytest.param(one, marks=pytest.mark.slow)
            for one in ("runn", "run quik", "report --runs none")
        ),
    ],
)
def test_mistakes_in_a_process_of_their_own(line, tmp_path):
    complaint(convbench(*line.split(), cwd=tmp_path))


def test_no_command_shows_the_help(tmp_path):
    done = convbench(cwd=tmp_path)
    assert done.returncode == 2
    assert "convbench run" in done.stdout


@pytest.mark.parametrize("line", ["list suites", pytest.param("--help", marks=pytest.mark.slow)])
def test_a_reader_that_leaves_early(line, tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*CONVBENCH, *line.split()], env=environment(), cwd=tmp_path, stdout=writing,
        stderr=subprocess.PIPE, text=True, timeout=60,
    )  # fmt: skip
    os.close(writing)
    assert (done.returncode, done.stderr) == (0, "")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_output_into_a_full_disk(tmp_path):
    with open("/dev/full", "w") as full:  # noqa: PTH123
        done = subprocess.run(
            [*CONVBENCH, "list", "suites"], env=environment(), cwd=tmp_path, stdout=full,
            stderr=subprocess.PIPE, text=True, timeout=60,
        )  # fmt: skip
    assert done.returncode == 2
    assert done.stderr.strip() == "convbench: error: No space left on device"


def test_a_terminal_without_signs_gets_question_marks(tmp_path):
    done = subprocess.run(
        [*CONVBENCH, "run", "--problem", PROBLEM, "--dry-run"], cwd=tmp_path, timeout=60,
        env=environment(PYTHONIOENCODING="ascii"), capture_output=True, text=True,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")


def test_the_version_is_shown(tmp_path):
    assert convbench("--version", cwd=tmp_path).stdout.startswith("convbench ")


@pytest.mark.parametrize("name", COMMANDS)
def test_options_are_the_arguments(name):
    """Commands that keep records have options more, which resuming fills in."""
    parser = argparse.ArgumentParser(add_help=False)
    load(name).add_arguments(parser)
    arguments = {action.dest for action in parser._actions}
    options = {field.name for field in fields(load(name).options)}
    more = {"run": {"words", "earlier"}, "regret": {"words", "earlier"}, "tune": {"words"}}
    assert options - arguments == more.get(name, set())
    assert arguments <= options
