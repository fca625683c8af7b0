"""Reading and writing of pictures: matplotlib's two, a user's own, and results.

A picture is read as planes, (planes, *size) in float64: one for grey, three for colour.
Matplotlib and Pillow are imported where they are used, so that timing needs neither.
"""

from __future__ import annotations

import gzip
from functools import lru_cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np

from algos.core.arrays import narrowed
from algos.core.errors import ConvbenchError, closest
from results.figures.matplotlib_backend import import_matplotlib

from . import fills
from .picture_files import is_array, load_array, read_picture

SHIPPED = ("photograph", "mri")
_WORDS = ("random", *SHIPPED, *fills.PIXELS)


def is_path(pixels: str) -> bool:
    """Return True if `pixels` names a file, by its form or because the file exists."""
    if pixels in _WORDS:
        return False
    return "/" in pixels or bool(Path(pixels).suffix) or Path(pixels).is_file()


def read(pixels: str) -> np.ndarray:
    """Return the planes of a picture or an array.

    Parameters
    ----------
    pixels : str
        The path of a picture, or of an array in a ``.npy`` or ``.npz`` file.
        ``"photograph"`` is matplotlib's grace_hopper.jpg, 600×512 in colour.
        ``"mri"`` is matplotlib's s1045.ima.gz, 256×256.

    Returns
    -------
    ndarray of float64, read-only
        `(planes, *size)` is its shape. Black is 0 and the format's white is 1.
        The MRI slice is scaled by its brightest pixel. Arrays and pictures of floats are not
        scaled, nor are signed samples and those of 32 bits. A picture is turned upright by its
        EXIF data. The pages of a TIFF file are the depth of a volume.

        One to three axes of an array are space; with four or five, the last two or three are.
        A last axis of 3 or 4 behind two others is colour. A fourth plane, opacity, is dropped.

    Raises
    ------
    ConvbenchError
        If the picture does not exist, or cannot be read without loss.
    """
    return examine(pixels)[0]


@lru_cache(maxsize=4)
def examine(pixels: str) -> tuple[np.ndarray, tuple[str, ...]]:
    """Return the planes as `read` does, and clauses on what was made of the file."""
    said: tuple[str, ...] = ()
    if pixels == "photograph":
        planes, said = read_picture(str(_sample("grace_hopper.jpg")))
    elif pixels == "mri":
        raw = gzip.decompress(_sample("s1045.ima.gz").read_bytes())
        slice_ = np.frombuffer(raw, dtype=">u2").reshape(256, 256).astype(np.float64)
        planes = (slice_ / slice_.max())[None]
    elif not is_path(pixels):
        raise ConvbenchError(
            f"pixels {pixels!r} are not known; {closest(pixels, ['random', *SHIPPED])}; "
            f"or give the path of a picture or a .npy file"
        )
    else:
        path = str(Path(pixels).expanduser())
        planes, said = _read_array(path) if is_array(path) else read_picture(path)
    planes.flags.writeable = False
    return planes, said


def _sample(name: str) -> Path:
    spec = find_spec("matplotlib")
    for root in (spec and spec.submodule_search_locations) or ():
        path = Path(root) / "mpl-data" / "sample_data" / name
        if path.exists():
            return path
    raise ConvbenchError(
        f"matplotlib's sample picture {name} is not installed; give a picture of your own "
        f"with --input, or reinstall matplotlib with pip"
    )


def _read_array(path: str) -> tuple[np.ndarray, tuple[str, ...]]:
    array = load_array(path, "array file")
    if not 1 <= array.ndim <= 5 or 0 in array.shape:
        raise ConvbenchError(
            f"array file {path!r} has shape {array.shape}; expected 1 to 3 spatial axes, "
            f"none of them empty, or (N, C, …) in front of 2 or 3"
        )
    said: tuple[str, ...] = ()
    if array.dtype.kind in "iu" and (
        beyond := np.count_nonzero((array > 2.0**53) | (array < -(2.0**53)))
    ):
        said = (f"{beyond} of its {array.dtype} values are beyond 2^53 and rounded",)
    array = narrowed(f"array file {path!r}", array, np.float64)
    if array.ndim == 3 and array.shape[-1] in (3, 4):
        said += (f"its last axis of {array.shape[-1]} is taken for colour",)
        said += ("its opacity is left out",) if array.shape[-1] == 4 else ()
        return np.ascontiguousarray(np.moveaxis(array[..., :3], -1, 0)), said
    if array.ndim <= 3:
        return array[None], said
    return array.reshape(-1, *array.shape[2:]), said


def save(path: str | Path, array: np.ndarray) -> None:
    """Write a filtered picture as PNG, in a range that shows it.

    Parameters
    ----------
    path : str or Path
        Its directory must exist.
    array : ndarray
        `(H, W)`, `(planes, H, W)` or `(N, O, H, W)`. Three planes in all are red, green and
        blue. With any other number, the first is shown. A volume (N, O, D, H, W) shows its
        middle slice.
    """
    from PIL import Image

    levels = np.rint(shown(array) * 255).astype(np.uint8)
    try:
        Image.fromarray(levels).save(path)
    except OSError as error:
        raise ConvbenchError(f"picture {str(path)!r} cannot be written: {error}") from None


def shown(array: np.ndarray) -> np.ndarray:
    """Return `array` as a visible picture: (H, W) or (H, W, 3), values in [0, 1].

    Values near [0, 1] are clipped to it. A result with values on both sides of zero (Sobel,
    Laplacian, Gabor) is centred on grey. Any other result is stretched between its half-percent
    and 99.5-percent quantiles.
    """
    array = np.asarray(array, dtype=np.float64)
    if array.ndim == 5:
        array = array[:, :, array.shape[2] // 2]
    if array.ndim < 2:
        raise ConvbenchError(f"an array of shape {array.shape} is no picture; expected 2 axes")
    planes = array.reshape(-1, *array.shape[-2:])
    planes = planes if len(planes) == 3 else planes[:1]
    planes = np.nan_to_num(planes, nan=0.0, posinf=0.0, neginf=0.0)
    total = np.abs(planes).sum()
    if total and np.abs(planes[planes < 0]).sum() > 0.25 * total:
        swing = np.quantile(np.abs(planes), 0.995) or np.abs(planes).max()
        planes = 0.5 + 0.5 * planes / swing
    else:
        low, high = np.quantile(planes, (0.005, 0.995))
        if low < -0.5 or high > 1.5:
            planes = (planes - low) / ((high - low) or 1)
    planes = np.clip(planes, 0, 1)
    return planes[0] if len(planes) == 1 else np.moveaxis(planes, 0, -1)


def contact_sheet(run_pictures: dict[str, np.ndarray], path: str | Path) -> None:
    """Draw originals and filtered pictures side by side.

    Parameters
    ----------
    run_pictures : dict of str to ndarray
        Pictures by label, in the form that `save` takes. ``"mri"`` is an original.
        ``"mri:sobel-x"`` is made of it. Each original starts a row.
    path : str or Path
        ``.png``, ``.svg`` or ``.pdf``; its directory must exist.
    """
    import_matplotlib()
    from matplotlib.figure import Figure

    groups: dict[str, list[tuple[str, np.ndarray]]] = {}
    for label, array in run_pictures.items():
        source, _, made_with = label.partition(":")
        groups.setdefault(source, []).append((made_with or source, shown(array)))
    if not groups:
        raise ConvbenchError("there are no pictures to put on the sheet")
    columns = _columns([len(members) for members in groups.values()])
    rows = [
        members[start : start + columns]
        for members in groups.values()
        for start in range(0, len(members), columns)
    ]
    width = 2.6
    heights = [width * max(p.shape[0] / p.shape[1] for _, p in row) + 0.35 for row in rows]
    figure = Figure(figsize=(columns * width, sum(heights)), dpi=150, layout="constrained")
    grid = figure.subplots(
        len(rows), columns, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axes_row, row in zip(grid, rows, strict=True):
        for axes in axes_row:
            axes.set_axis_off()
        for axes, (title, picture) in zip(axes_row, row, strict=False):
            axes.imshow(picture, cmap="gray", vmin=0, vmax=1)
            axes.set_title(title, fontsize=9, family="monospace")
    try:
        figure.savefig(path)
    except OSError as error:
        raise ConvbenchError(f"picture {str(path)!r} cannot be written: {error}") from None


def _columns(counts: list[int]) -> int:
    """Return the number of pictures per row, up to six, with the fewest empty places."""
    widest = min(6, max(counts))
    return min(range(widest, min(4, widest) - 1, -1), key=lambda n: sum(-c % n for c in counts))


def size_of(pixels: str) -> tuple[int, tuple[int, ...]]:
    """Return (number of planes, spatial size) of a picture."""
    planes = read(pixels)
    return len(planes), planes.shape[1:]


def label(source: str) -> str:
    """Return a short name: a file's without directory and suffix, anything else unchanged."""
    return Path(source).stem.replace('"', "'") if is_path(source) else source
