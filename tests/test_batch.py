"""benchdnn problem files: options, nesting, notes, and where an error is."""

import re

import pytest

from algos import ConvbenchError, parse_descriptor
from suites import batch
from suites.suite import Case

A, B = "mb1ic3ih8oc4kh3", 'mb1_ic2ih9_oc2_kh1_n"net:b"'


def write(folder, text, name="problems"):
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")
    return path


def read(folder, text, **options):
    return batch.read(write(folder, text), **options)


def refusal(folder, text, **options):
    with pytest.raises(ConvbenchError) as error:
        read(folder, text, **options)
    return str(error.value)


def test_descriptors_stand_in_lines_and_side_by_side(tmp_path):
    cases, notes = read(tmp_path, f"# a comment\n\n{A}   {B} # another {A}\n  {A}\n#{B}\n")
    assert cases == [Case(parse_descriptor(A)), Case(parse_descriptor(B))]
    assert cases[1].problem.name == "net:b"
    assert notes == []


def test_names_may_hold_blanks_and_signs(tmp_path):
    text = 'ic1iw9oc1kw3n"a # b c"\ng2ic2iw8oc2kw2noc%width_!=0\n'
    names = [case.problem.name for case in read(tmp_path, text).cases]
    assert names == ["a # b c", "oc%width_!=0"]


def test_mb_overrides_until_zero_or_reset(tmp_path):
    text = f"{A}\n--mb=5 # five\n{A}\n--mb=0\nic1iw9oc1kw3\n--mb=3,4\n{A}\n--reset {B}\n"
    sizes = [case.problem.batch for case in read(tmp_path, text).cases]
    assert sizes == [1, 5, 2, 3, 4, 1]


def test_types_and_directions_are_taken_where_we_have_them(tmp_path):
    text = f"""
        --reset --dt=f32,f64,bf16,u8:s8:s32
        {A}
        --cfg=f32_wino --dir=fwd_b,FWD_D,BWD_W
        {B} {A}
    """
    cases, notes = read(tmp_path, text)
    problems = [c.problem for c in cases]
    seen = [(p.in_channels, p.dtype, p.bias, p.operation) for p in problems]
    assert seen == [
        (3, "float32", False, "forward"),
        (3, "float64", False, "forward"),
        (2, "float32", True, "forward"),
        (2, "float32", False, "forward"),
        (2, "float32", False, "grad_weight"),
        (3, "float32", True, "forward"),
        (3, "float32", False, "grad_weight"),
    ]
    assert sorted(notes) == [
        "data type bf16 is not computed, only f32 and f64 are (1 left out)",
        "data type u8:s8:s32 is not computed, only f32 and f64 are (1 left out)",
    ]


def test_backward_directions_ask_for_gradients(tmp_path):
    cases, notes = read(tmp_path, f"--dir=BWD_D,BWD_DW {A} --dir=BWD_WB {B}_bias")
    assert [c.problem.operation for c in cases] == ["grad_input", "grad_weight", "grad_weight"]
    assert notes == ["direction BWD_WB is taken as BWD_W, without the bias"]


def test_without_a_direction_a_problem_is_what_its_line_says(tmp_path):
    cases, _ = read(tmp_path, f"{A} {A}_bias --dir=FWD_D mb5ic3ih8oc4kh3_bias")
    assert [c.problem.bias for c in cases] == [False, True, False]


def test_match_keeps_what_it_is_found_in(tmp_path):
    text = f"--match=.*kh3[^0-9].*\n{A}n1 {B}\n--match=\n{B}\n"
    assert [c.problem.kernel[0] for c in read(tmp_path, text).cases] == [3, 1]
    assert [c.problem.kernel[0] for c in read(tmp_path, f"{A} {B}", match="net:").cases] == [1]
    assert "leaves no problem" in refusal(tmp_path, A, match="nothing")
    assert "'(' is no regular expression" in refusal(tmp_path, A, match="(")
    assert "line 2, column 2: '(' is no regular" in refusal(tmp_path, f"\n --match=( {A}")


def test_options_that_change_no_convolution_are_passed_over(tmp_path):
    text = f"""
        --conv --stag=any,axb --wtag=goiw --dtag=abx --skip-impl="ref:gemm" --allow-unimpl=true
        --alg=wino --attr=post_ops='relu' --attr-zero-points=, --mode=P --strides=9x1::9x1 -v5
        --attr-post-ops=, \\
                        sum:0.5, \\
                        add:f32:per_tensor+relu
        {A}
    """
    assert read(tmp_path, text) == ([Case(parse_descriptor(A))], [])


def test_an_unknown_option_is_noted_and_another_driver_left_out(tmp_path):
    cases, notes = read(tmp_path, f"--dirr=FWD_B {A}\n--deconv {B} {B}\n--conv {B}_f64\n")
    assert len(cases) == 2
    assert len(notes) == 2
    assert "line 1, column 1: option '--dirr=FWD_B' is not known" in notes[0]
    assert "other drivers (2 left out)" in notes[1]


def test_files_within_files_share_their_options(tmp_path):
    write(tmp_path, f"--batch=conv/inner\n{A}\n", "inputs/conv/outer")
    write(tmp_path, "--mb=7\n--batch=last\n", "inputs/conv/conv/inner")
    write(tmp_path, f"{B}\n", "inputs/conv/last")
    cases, _ = batch.read(tmp_path / "inputs" / "conv" / "outer")
    assert [(c.problem.in_channels, c.problem.batch) for c in cases] == [(2, 7), (3, 7)]
    # From elsewhere in the tree, as benchdnn itself finds its inputs.
    top = write(tmp_path, "--batch=last --batch=inputs/conv/outer", "top")
    assert len(batch.read(top).cases) == 3


def test_a_file_that_includes_itself_is_refused(tmp_path):
    write(tmp_path, f"{A}\n--batch=inner\n", "outer")
    write(tmp_path, f"{B}\n--batch=outer\n", "inner")
    with pytest.raises(ConvbenchError, match="includes itself: outer → inner → outer"):
        batch.read(tmp_path / "outer")
    write(tmp_path, f"--batch=leaf --batch=leaf {A}", "twice")
    write(tmp_path, B, "leaf")
    assert len(batch.read(tmp_path / "twice").cases) == 2


def test_what_is_no_problem_is_noted_with_its_line(tmp_path):
    cases, notes = read(tmp_path, f"{A}\nic1ih5oc1kh9\n--dt=f32,f64\ng3ic4ih5oc3kh3\n")
    assert len(cases) == 1
    assert len(notes) == 2
    assert re.search(r"problems, line 2: .*kernel spans 9 samples.*left out", notes[0])
    assert re.search(r"problems, line 4: .*cannot be split into 3 groups", notes[1])
    assert "kernel spans 9" in refusal(tmp_path, "ic1ih5oc1kh9")


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{A}\n  {B}  mb1_ic3zz9", ("line 2, column 39", "'zz9'")),
        ("\n\nhello", ("line 3, column 1", "'hello'")),
        ("ic3ih8oc4", ("line 1, column 1", "gives no kh")),
        ("--mb=many " + A, ("line 1, column 1", "'--mb=many'", "batch size")),
        ("--mb= " + A, ("'--mb='",)),
        (" --dir=FWD_X " + A, ("line 1, column 2", "'FWD_X' is no direction", "FWD_D")),
        (A + " --batch=missing", ("line 1, column 17", "'missing'")),
        ("", ("leaves no problem", "holds no descriptor")),
        ("# " + A, ("leaves no problem",)),
    ],
)
def test_a_mistake_is_named_with_file_line_and_column(tmp_path, text, parts):
    message = refusal(tmp_path, text)
    assert "problems" in message
    for part in parts:
        assert part in message


def test_an_unreadable_file_is_refused(tmp_path):
    with pytest.raises(ConvbenchError, match="cannot be read"):
        batch.read(tmp_path / "missing")
    with pytest.raises(ConvbenchError, match="cannot be read"):
        batch.read(tmp_path)
    (tmp_path / "binary").write_bytes(b"\xff\xfe")
    with pytest.raises(ConvbenchError, match="cannot be read"):
        batch.read(tmp_path / "binary")
