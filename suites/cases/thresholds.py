"""Sizes at which kernels change their method, and problems on both sides of each.

Every number comes from the module that owns it, so the generators follow when a kernel is tuned.
A threshold T of columns, rows, taps, channels or work is tested at T − 1, T and T + 1.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from algos import im2col
from algos.adapters import parts
from algos.backend import threads
from algos.backend.emitter import lanes_of
from algos.fft import algorithm as fft
from algos.parallel import channels_blocking as direct_blocking
from algos.parallel import dots as direct_dots
from algos.parallel import last_blocking as direct_last
from algos.parallel import last_depthwise as direct_last_depthwise
from algos.parallel import last_shallow as direct_last_shallow
from algos.parallel import pixels as direct_pixels
from algos.parallel import planes_blocking as direct_runs
from algos.parallel import rows_blocking as direct_rows
from algos.parallel import shallow as direct_shallow
from algos.parallel import sliding as direct_sliding
from algos.parallel import tables as direct_tables
from algos.parallel import unshared as direct_unshared
from algos.pooling.algorithms import im2col as pool_columns
from algos.pooling.kernels import gradient_rows, last, lines, registers, rows
from algos.separable import passes, sweeps
from algos.simd.copies import STREAMED_BYTES
from algos.winograd import blocking as winograd_blocking
from algos.winograd import weights_blocking as winograd_weights_blocking

#: Numbers, and the descriptor of a problem in which the counted quantity is `n`.
Thresholds = Sequence[tuple[Sequence[int], Callable[[int], str]]]

#: Elements of a register, float64 and float32.
_LANES = lanes_of(8), lanes_of(4)
#: Register tiles are up to eight vectors wide.
_VECTORS = sorted({count * lane for count in (1, 2, 3, 4, 6, 8) for lane in _LANES})
#: Output channels that fill the vectors of a register tile.
_CHANNELS = sorted({tile[1] * lane for tile in direct_blocking.TILES for lane in _LANES})


def _shared(outputs: int) -> str:
    """Return a layer whose `outputs` channels are connected to the same two inputs."""
    return f"mb1_ic3ih9_oc{outputs}_kh3_conn{'.'.join(['3'] * outputs)}"


CONVOLUTION: Thresholds = (
    (_VECTORS, lambda n: f"mb1_ic1ih6iw{n}_oc1_kh3kw3_ph1pw1"),
    (_VECTORS, lambda n: f"mb1_ic1ih7iw{n}_oc1_kh5kw4_ph2pw1rw2"),
    (_VECTORS, lambda n: f"mb1_ic2ih8iw{2 * n}_oc2_kh3kw3_sh2sw2ph1pw1"),
    (_CHANNELS, lambda n: f"mb1_ic3ih7iw9_oc{n}_kh3kw3_ph1pw1"),
    (_CHANNELS, lambda n: f"mb1_ic{n}ih7iw9_oc5_kh1kw1"),
    ([tile[0] for tile in direct_shallow.TILES], lambda n: f"mb1_ic3ih5iw24_oc{n}_kh3kw3_ph1pw1"),
    ([direct_shallow.MOST_TAPS // 9], lambda n: f"mb1_ic{n}ih5iw32_oc12_kh3kw3_ph1pw1"),
    ([tile[0] for tile in direct_blocking.TILES], lambda n: f"mb1_ic16ih5iw{n}_oc32_kh3kw3_ph1pw1"),
    ([direct_blocking.BLOCK_TAPS * 3 // 2 // 9], lambda n: f"mb1_ic{n}ih6_oc16_kh3"),
    (
        [direct_blocking.STRIP_BYTES // (64 * 16 * itemsize) for itemsize in (8, 4)],
        lambda n: f"mb1_ic16ih{n}iw64_oc16_kh3kw3_ph1pw1",
    ),
    (
        [direct_pixels.BAND_BYTES // (16 * itemsize) for itemsize in (8, 4)],
        lambda n: f"mb1_ic16ih1iw{n}_oc8_kh1kw1",
    ),
    (
        sorted(
            {
                v * lane
                for most in direct_sliding.WIDEST.values()
                for v in (1, most)
                for lane in _LANES
            }
        ),
        lambda n: f"g2mb1_ic2ih9iw{n}_oc2_kh7kw7_ph3pw3",
    ),
    (
        [direct_sliding.LEAST_ROWS, direct_sliding.MOST_ROWS],
        lambda n: f"mb1_ic1ih{n}iw20_oc1_kh5kw5_ph2pw2",
    ),
    (
        [direct_rows.ROWS, 2 * direct_rows.ROWS],
        lambda n: f"mb1_ic1ih{n}iw40_oc2_kh5kw3_ph2pw2",
    ),
    ([direct_rows.MOST_TAPS], lambda n: f"mb1_ic1ih20iw40_oc1_kh{n}kw2_ph2pw2"),
    ([direct_rows.STRIP], lambda n: f"mb1_ic1ih5iw{n}_oc1_kh5kw4_ph2pw1rw2"),
    (
        [8 * direct_rows.WIDE * lane for lane in _LANES],
        lambda n: f"mb1_ic1iw5000_oc1_kw{n}_flip",
    ),
    (
        [direct_runs.LEAST_ROWS, direct_runs.MOST_ROWS],
        lambda n: f"g2mb1_ic2ih{n}iw40_oc2_kh3kw3_ph1pw1",
    ),
    ([direct_tables.SHARED], _shared),
    ([direct_tables.STRETCH // 8], lambda n: f"mb1_ic3ih8iw{n}_oc2_kh3kw3_ph1pw1_conn3.6"),
    ([direct_dots.ROWS, 2 * direct_dots.ROWS], lambda n: f"mb2_ic8ih40_oc{n}_kh1_bwdw"),
    ([direct_dots.COLUMNS, 2 * direct_dots.COLUMNS], lambda n: f"mb2_ic{n}ih40_oc8_kh1_bwdw"),
    ([direct_dots.FEWEST * lane for lane in _LANES], lambda n: f"mb1_ic8ih1iw{n}_oc8_kh1kw1_bwdw"),
    ([2 * direct_dots.STRETCH], lambda n: f"mb1_ic8ih1iw{n}_oc8_kh1kw1_bwdw"),
    ([parts.MOST_PARTS], lambda n: f"mb1_ic1ih70iw6_oc1_kh3kw3_tile{n}x1"),
    (
        [round(2 * direct_unshared.WORTH_A_PART / (576 * 58)) + 2],
        lambda n: f"mb1_ic8ih60iw{n}_oc8_kh3kw3_tile1x2",
    ),
    ([fft.STRETCH], lambda n: f"mb1_ic2iw{n}_oc2_kw31_pw15"),
    ([64], lambda n: f"mb1_ic{im2col.LEAST_BYTES // 64 // 9 // 4 + 1}ih3iw{n + 2}_oc4_kh3kw3"),
    ([passes.CHUNK], lambda n: f"mb1_ic1ih7iw{n}_oc1_kh7kw7_ph3pw3"),
    ([sweeps.ROWS, 2 * sweeps.ROWS], lambda n: f"mb1_ic1ih{n}iw40_oc1_kh5kw5_ph2pw2"),
    (
        [winograd_blocking.STRIP_TILES * m for m in (2, 4, 6)],
        lambda n: f"mb1_ic3ih6iw{n}_oc4_kh3kw3_ph1pw1",
    ),
    (
        [winograd_weights_blocking.BAND_TILES * m for m in (2, 4, 6)],
        lambda n: f"mb1_ic5ih6iw{n}_oc20_kh3kw3_ph1pw1_bwdw",
    ),
    ([threads.SMALL_WORK // (576 * 60)], lambda n: f"mb1_ic8ih{n}iw60_oc8_kh3kw3_ph1pw1"),
    ([direct_last.POSITIONS], lambda n: f"mb1_ic5ih2iw{n}_oc16_kh3kw3_ph1pw1_axb"),
    (_LANES, lambda n: f"mb1_ic3ih5iw9_oc{n}_kh3kw3_ph1pw1_axb"),
    ([direct_last.PIECE_TAPS, direct_last.PIECE_TAPS // 3], lambda n: f"mb1_ic{n}ih4_oc8_kh3_axb"),
    ([direct_last_shallow.SINGLE_TAP], lambda n: f"mb1_ic{n}ih4_oc16_kh1_axb"),
    ([2 * n for n in _LANES], lambda n: f"g{n}_mb1_ic{n}ih5iw9_oc{n}_kh3kw3_ph1pw1_axb"),
    (
        [direct_last_depthwise.SHORT[0], direct_last_depthwise.WIDE[0]],
        lambda n: f"g16_mb1_ic16ih3iw{n + 2}_oc16_kh3kw3_ph1pw1_axb",
    ),
    ([threads.SMALL_BYTES // 4096], lambda n: f"g2mb1_ic2ih{n}iw256_oc2_kh2kw2_ph1rh0pw1rw0"),
)

#: Problems whose rows bypass the caches; they are too large for more than one size.
STREAMED = (
    f"mb1_ic1ih{STREAMED_BYTES // 8192 + 1}iw1024_oc1_kh3kw3_ph1pw1",
    f"mb1_ic1ih{STREAMED_BYTES // 8192 + 1}iw1024_oc1_kh5kw5_ph2pw2",
)

_SLACK = [registers.SLACK, *(registers.SLACK + lane for lane in _LANES)]
_BLOCKS = sorted({rows.BLOCK, gradient_rows.BLOCK})

#: Each is tested with maxima and averages.
POOLING: Thresholds = (
    ([rows.DIRECT, 2 * rows.DIRECT], lambda n: f"mb1_ic2iw60_kw{n}_sw1"),
    ([rows.DIRECT], lambda n: f"mb1_ic2ih4iw90_kh2kw{n}_sh1sw2_pw1"),
    ([rows.DIRECT], lambda n: f"mb1_ic2iw60_kw{n}_sw1_dw1"),
    ([rows.FEW_ROWS], lambda n: f"mb1_ic1ih30iw20_kh{n}kw3_sh1"),
    (_SLACK, lambda n: f"mb1_ic2iw{n}_kw{n}_sw1"),
    (_SLACK, lambda n: f"mb1_ic1ih9iw{n + 30}_kh3kw{n}_sh1"),
    ([2 * n for n in _SLACK], lambda n: f"mb1_ic2iw{n + 9}_kw{n}_sw2"),
    ([3 * n for n in _SLACK], lambda n: f"mb1_ic2iw{n + 9}_kw{n}_sw3"),
    (_SLACK, lambda n: f"mb1_ic1ih{n}iw{n}_kh{n}_sh1"),
    (_BLOCKS, lambda n: f"mb1_ic1ih{n}iw9_kh3_sh1_ph1"),
    (_BLOCKS, lambda n: f"mb1_ic1ih{2 * n}iw20_kh2_sh2"),
    (_BLOCKS, lambda n: f"mb1_ic1ih{n}iw9_kh{rows.FEW_ROWS + 2}kw3_sh1"),
    (_VECTORS, lambda n: f"mb1_ic1ih6iw{n}_kh3_sh1_ph1"),
    ([n * last.VECTORS for n in _LANES], lambda n: f"mb1_ic{n}ih5_kh3_sh2_ph1_axb"),
    (_VECTORS, lambda n: f"mb1_ic1ih6iw{2 * n}_kh2_sh2"),
    (_VECTORS, lambda n: f"mb1_ic1ih6iw{3 * n}_kh3_sh3"),
    ([lines.BUNDLE], lambda n: f"mb1_ic{n}iw9_kw3_sw1"),
    ([lines.BUNDLE], lambda n: f"mb1_ic1ih7iw{n}_kh3kw2_sh1"),
    ([pool_columns.SLAB_BYTES // (8 * 9 * 64**2)], lambda n: f"mb1_ic{n}ih66_kh3_sh1"),
    ([threads.SMALL_WORK // (8 * 9 * 126)], lambda n: f"mb1_ic8ih{n}iw128_kh3_sh1"),
    ([threads.SMALL_BYTES // 5120], lambda n: f"mb1_ic4ih{n}iw256_kh2_sh2"),
)

#: Padding of 0, 1 and 2 behind windows of one sample. Maxima cannot be padded there.
POOLING_BEHIND: Thresholds = (
    ([1], lambda n: f"mb1_ic1id2ih6iw7_kd1kh3kw2_sh1_pd0rd{n}"),
    ([1], lambda n: f"mb1_ic1ih5iw9_kh1kw3_sh1_ph0pw1rh{n}rw1"),
    ([1], lambda n: f"mb1_ic1ih5iw9_kh3kw1_sh1_ph1pw0rh1rw{n}"),
    ([1], lambda n: f"mb1_ic1iw9_kw1_sw1_pw0rw{n}"),
)


def edges(thresholds: Thresholds) -> list[str]:
    """Return descriptors of the problems just below, at and just above every threshold."""
    found = (
        describe(number + aside)
        for numbers, describe in thresholds
        for number in numbers
        for aside in (-1, 0, 1)
    )
    return list(dict.fromkeys(found))
