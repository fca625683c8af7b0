"""Pictures of a run, small enough to stand inside the page."""

from __future__ import annotations

import base64
import io
from pathlib import Path

#: Longest side of a picture on the page, in pixels, and the most pictures.
LONGEST_SIDE, MOST = 900, 6


def pictures(folder: Path) -> list[tuple[str, str]]:
    """Return name and data URL of the pictures that the run in `folder` left.

    The sheet of all comes first. Files that are no pictures are left out.
    """
    from PIL import Image, UnidentifiedImageError

    files = (folder / "pictures").glob("*.png")
    found = []
    for file in sorted(files, key=lambda file: (file.stem != "sheet", file.name))[:MOST]:
        try:
            with Image.open(file) as image:
                small = image.convert("RGB")
        except (OSError, UnidentifiedImageError):
            continue
        small.thumbnail((LONGEST_SIDE, LONGEST_SIDE))
        content = io.BytesIO()
        small.save(content, "JPEG", quality=80)
        code = base64.b64encode(content.getvalue()).decode()
        found.append((file.stem, f"data:image/jpeg;base64,{code}"))
    return found
