"""benchdnn problem files: options, nesting, notes, and where an error is."""

import re
from dataclasses import replace

import pytest

from algos import ConvbenchError, parse_descriptor
from algos.notation import parse
from suites.cases import batch
from suites.cases.suite import Case

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
    cases, notes = read(tmp_path, f"--dirr=FWD_B {A}\n--ip {B} {B}\n--conv {B}_f64\n")
    assert len(cases) == 2
    assert len(notes) == 2
    assert "line 1, column 1: option '--dirr=FWD_B' is not known" in notes[0]
    assert "not ip (2 left out)" in notes[1]


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


UP = 'mb1oc3oh227ic96ih55kh11sh4ph0n"up"'
DOWN = 'mb1ic3ih227oc96oh55kh11sh4ph0n"down"'
POOL = 'mb1ic64_ih112oh56kh3sh2ph0n"pool"'


@pytest.mark.parametrize("said", ["prefix", "line"])
def test_a_deconvolution_is_the_gradient_of_the_mirrored_convolution(tmp_path, said):
    path = write(tmp_path, UP if said == "prefix" else f"--deconv {UP}")
    (case,), notes = batch.read(f"deconv:{path}" if said == "prefix" else path)
    assert case.problem == replace(parse_descriptor(DOWN), operation="grad_input")
    assert case.problem.padding == ((0, 0), (0, 0))
    assert notes == []


def test_directions_of_a_deconvolution(tmp_path):
    cases, notes = read(tmp_path, f"--deconv --dir=FWD_B,BWD_D,BWD_WB {UP}")
    assert [c.problem.operation for c in cases] == ["grad_input", "forward", "grad_weight"]
    assert [n.split()[1] for n in notes] == ["FWD_B", "BWD_WB"]
    assert not any(c.problem.bias for c in cases)


def test_sizes_of_a_deconvolution():
    same = {
        "mb1_g2ic4ih5_oc6_kh3_sh2_ph1": ((9, 9), ((1, 1), (1, 1))),
        "mb1_ic4ih5_oc6oh10_kh3_sh2_ph1": ((10, 10), ((1, 1), (1, 1))),
        "mb1_ic4iw6_oc6ow224_kw7sw40_pw0": ((224,), ((0, 0),)),
        "mb1_ic4iw5_oc2ow5_kw3": ((5,), ((1, 1),)),
        "mb1_ic4iw5_oc2ow10_kw3sw2pw0": ((10,), ((0, 1),)),
    }
    for text, (size, padding) in same.items():
        problem = parse(f"deconv:{text}")
        assert (problem.size, problem.padding) == (size, padding)
        assert parse(str(problem)) == problem
    assert problem.operands == ((1, 4, 5), (4, 2, 3))


def test_pools_have_algorithms_and_directions(tmp_path):
    path = write(
        tmp_path, f"--alg=max,avg_np,pooling_avg_include_padding {POOL} --dir=BWD_D {POOL}"
    )
    problems = [case.problem for case in batch.read(f"pool:{path}").cases]
    assert [(p.kind, p.count_include_pad, p.operation) for p in problems] == [
        ("max", None, "forward"), ("average", False, "forward"), ("average", True, "forward"),
        ("max", None, "grad_input"), ("average", False, "grad_input"),
        ("average", True, "grad_input"),
    ]  # fmt: skip
    first = problems[0]
    assert (first.window, first.stride, first.output_size) == ((3, 3), (2, 2), (56, 56))
    assert first.padding == ((0, 1), (0, 1))


def test_defaults_of_a_pool_are_benchdnns(tmp_path):
    (case,), _ = read(tmp_path, "--pool ic16_ih30oh28kh3_iw20kw2dw1pw1n8")
    problem = case.problem
    assert (problem.batch, problem.stride, problem.dilation) == (2, (1, 1), (1, 2))
    assert problem.padding == ((0, 0), (1, 1))
    assert problem.name == "8"


def test_lines_that_cannot_be_pooled_are_left_out_with_their_reason(tmp_path):
    text = f"--pool --dt=f32,s8 --dir=FWD_I,BWD_W {POOL}\n ic1iw2kw2_iw3\n ic1iw4kw1pw1ow6\n"
    cases, notes = read(tmp_path, text)
    assert len(cases) == 1
    assert any("line 2" in n and "iw is given twice" in n for n in notes)
    assert any("line 3" in n and "holds padding alone" in n for n in notes)
    assert any("pooling has no direction BWD_W" in n for n in notes)
    assert any("data type s8" in n for n in notes)
    assert "'min' is no pooling" in refusal(tmp_path, f"--pool --alg=min {POOL}")


@pytest.mark.parametrize(
    ("text", "said"), [(UP, "deconv:"), (POOL, "pool:"), (f"{A}\n{UP}", "deconv:")]
)
def test_a_file_of_another_driver_is_recognised(tmp_path, text, said):
    message = refusal(tmp_path, text)
    assert f"--batch {said}" in message


def test_a_line_of_another_driver_among_others_is_left_out(tmp_path):
    cases, notes = read(tmp_path, f"{DOWN}\n{UP}\n{POOL}\n")
    assert [case.problem.name for case in cases] == ["down"]
    assert "deconv:" in notes[0]
    assert "pool:" in notes[1]
    for driver, other, text in (("deconv", "conv", DOWN), ("pool", "conv", DOWN)):
        path = write(tmp_path, text)
        with pytest.raises(ConvbenchError, match=f"say --batch {other}:"):
            batch.read(f"{driver}:{path}")


def test_the_folder_tells_where_a_line_does_not(tmp_path):
    path = write(tmp_path, "ic8ih5oc8oh5kh1", "deconv/shapes")
    with pytest.raises(ConvbenchError, match="say --batch deconv:"):
        batch.read(path)
    assert batch.read(f"deconv:{path}").cases[0].problem.operation == "grad_input"
    assert batch.read(f"conv:{path}").cases[0].problem.operation == "forward"


def test_files_of_a_driver_are_found_in_its_folder(tmp_path):
    write(tmp_path, POOL, "inputs/pool/shapes")
    top = write(tmp_path, "--pool --batch=shapes")
    assert len(batch.read(top).cases) == 1
