"""Damaged descriptors: a short sentence, at once, in little memory."""

import random
import subprocess
import sys
import time

import pytest

from algos import ConvbenchError, Problem
from algos.core.errors import LONGEST, shortened
from algos.notation import parse
from suites.cli import main
from suites.truth.families import family_cases

WHOLE = (
    'mb1_ic3ih227_oc96_kh11_sh4ph0_n"alexnet:conv1"',
    "g2mb1_ic4ih8oh6iw9ow7_oc2_kh3kw3_sh1_ph0rh0_dh0_f64_flip_bias_ceil",
    "mb1_ic3iw9_oc2_kw2_tile2_conn7.5",
    'mb1_ic1ih8_oc1_kh3_ph1_reflect_n"edge"',
    "mb1_ic1iw8_oc1_kw3_pw1_f64_constant-1.5e-3",
    "deconv:mb1_ic96ih55_oc3oh227_kh11sh4ph0",
    "pool:mb1_ic64_ih112oh56_kh3sh2ph0dh1",
    "max_mb1_ic64ih112_kh3_sh2ph1_ceil",
    "lp_mb1_ic2ih7iw6_kh3_p=2.5_f64_backward",
    "average_mb8_ic512ih7_output=1,2_count_include_pad=False",
    "gaussian_ic1ih9_kh3_sigma=1.5",
    "stochastic_ic1ih25_ratio=1.41_sequence=random_overlapping=False_seed=3",
    "mixed_ic1ih8_levels=4x2,2x1_mix=0.3",
    "maxout_mb1_ic6ih4_pieces=3",
    "inception_mb1_ic192ih28_ones=64_threes=96,128_fives=16,32_pooled=32",
)
HUGE = (2**31, 2**31 - 1, 10**9, 10**12, 2**48, 2**48 + 1, 2**63, 10**18, 10**30, 10**400)
SCRAPS = ("x" * 12000, "9" * 12000, "_", "=", ",", ".", ":", '"', "'", "-", "²", "٣", "\x00", "e9",
          "nan", "inf", "(", "[", " ", "1" * 6000 + ".5", "a b " * 3000, "," * 5000)  # fmt: skip


def damaged(rng: random.Random) -> str:
    """A descriptor with one to three things wrong."""
    text = rng.choice(WHOLE)
    for _ in range(rng.randint(1, 3)):
        at = rng.randint(0, len(text))
        end = min(len(text), at + rng.randint(1, 6))
        digits = [i for i, c in enumerate(text) if c.isdigit()]
        match rng.randrange(6):
            case 0:
                text = text[:at] + text[end:]
            case 1:
                text = text[:at] + rng.choice(SCRAPS) + text[at:]
            case 2:
                text = text[:at] + text[at:end] * rng.randint(2, 4) + text[end:]
            case 3:
                text = text[:at] + chr(rng.randrange(32, 0x3000)) + text[end:]
            case _ if digits:
                i = rng.choice(digits)
                text = text[:i] + str(rng.choice((0, 1, 7, *HUGE))) + text[i + 1 :]
    return text


def outcome(text: str) -> str:
    """The refusal of `text`, or the explanation of its sizes."""
    try:
        problem = parse(text)
    except ConvbenchError as error:
        return str(error)
    problem.geometry, problem.terms, problem.table_bytes, problem.compulsory_bytes  # noqa: B018
    return "\n".join(family_cases(problem).explain(problem))


@pytest.mark.parametrize("seed", range(3))
def test_damaged_descriptors_are_refused_in_a_short_sentence(seed):
    rng = random.Random(seed)
    refused = 0
    for _ in range(300):
        text = damaged(rng)
        begun = time.process_time()
        try:
            parse(text)
        except ConvbenchError as error:
            refused += 1
            assert len(str(error)) <= 600, str(error)[:2000]
        outcome(text)
        # A guard against enumeration, which takes minutes; arithmetic takes milliseconds.
        assert time.process_time() - begun < 5, text[:300]
    assert refused > 60


def test_the_words_that_hold_are_read():
    for text in WHOLE:
        assert outcome(text).count("\n") > 1


LIMITED = """
import resource
from pathlib import Path
from test_damaged_descriptors import damaged, outcome, random
most = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize() + (256 << 20)
resource.setrlimit(resource.RLIMIT_AS, (most, most))
rng = random.Random(99)
for _ in range(400):
    outcome(damaged(rng))
print("done")
"""


@pytest.mark.skipif(sys.platform != "linux", reason="limits the address space by Linux's means")
def test_damaged_descriptors_take_little_memory(request):
    command = [sys.executable, "-W", "error", "-c", LIMITED]
    answer = subprocess.run(
        command, cwd=request.path.parent, capture_output=True, text=True, check=False
    )
    assert (answer.stdout, answer.stderr[-2000:]) == ("done\n", "")


@pytest.mark.parametrize(
    "text",
    [
        "max_mb1_ic64ih1121000000_kh3",
        "lp_mb1_ic1ih2147483648_kh3_sh2",
        "gaussian_mb1_ic1iw99999999999_kw3_sw2",
        "max_mb1_ic1iw99999999999_ratio=1.5",
        "mb1_ic1ih1_oc1_kh10000001_ph5000000",
        "mb1_ic1iw100000000000_oc1_kw3",
        "deconv:mb1ic3ih999999999oc4kh3sh7",
        "inception_mb1_ic999999999ih999999999_ones=64_threes=96,128_fives=16,32_pooled=32",
    ],
)
def test_what_is_too_large_is_shown_and_refused(text, capsys):
    assert main(["shape", text]) == 0
    assert main(["run", "--problem", text]) == 2
    message = capsys.readouterr().err
    assert "it needs about" in message
    assert "GiB may be used" in message
    assert len(message) < 600


def test_a_kernel_beyond_the_memory_is_not_made(capsys):
    words = ["run", "--weights", "gaussian", "--problem", f"mb1_ic1ih9_oc1_kh{10**7}_ph{10**7}"]
    assert main(words) == 2
    assert "is too large to be made" in capsys.readouterr().err


def test_sizes_beyond_the_address_space_are_refused(capsys):
    for text in ("max_mb1_ic1ih999999999999999999_kh3", "mb1_ic1ih9_oc1_kh281474976710656_dh99"):
        assert main(["shape", text]) == 2
        assert len(capsys.readouterr().err) < 500
    with pytest.raises(ConvbenchError, match="2\\^48"):
        parse(f"mb1_ic1ih9_oc1_kh{2**20}_dh{2**39}_ph{2**39}")
    with pytest.raises(ConvbenchError, match="column 8: a number of 5000 digits"):
        parse("mb1_ic" + "1" + "ih" + "9" * 5000)
    for value in (10**5000, -(10**5000)):
        with pytest.raises(ConvbenchError, match=r"size .* must be a whole number of at"):
            Problem(size=value, kernel=1)
    with pytest.raises(ConvbenchError, match="must be a table of 2 rows"):
        parse("mb1_ic3iw9_oc2_kw2_conn7" + "1" * 12000)


def test_flags_of_pooling_are_true_or_false():
    with pytest.raises(ConvbenchError, match="overlapping='no' must be True or False"):
        parse("max_mb1_ic1iw25_ratio=1.5_overlapping=no")


def test_channels_of_a_table_are_not_enumerated():
    with pytest.raises(ConvbenchError, match="only those of"):
        parse("mb1_ic2_iw4_oc1_kw3_conn7")
    assert parse(f"mb1_ic{10**12}_iw4_oc1_kw3_conn7").channel_pairs == 3


def test_values_are_cut_and_sentences_are_not():
    sentence = "x" * 50 + " isn't " + "a word " * 60 + "of the user's"
    assert shortened(sentence) == sentence
    for value in (
        "'" + "a b" * 999 + "'",
        "9" * 999,
        str([1] * 999),
        str((2,) * 999),
        repr("'" * 999),
    ):
        short = shortened(f"value {value} is wrong")
        assert len(short) < LONGEST
        assert short.startswith("value " + value[:50])
        assert short.endswith(value[-9:] + " is wrong")
    assert len(str(ConvbenchError("text '" + "x" * 9999 + "'"))) < LONGEST
