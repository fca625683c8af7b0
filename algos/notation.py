"""Descriptor text of every family, told apart by its first word."""

from __future__ import annotations

import re
from typing import Any

from .core.descriptor import parse_descriptor
from .deblurring.problem import parse_deblur
from .drivers import DRIVERS
from .inception.problem import parse_inception
from .pooling.core.descriptor import parse_pool_descriptor
from .pooling.core.options import KINDS


def parse(text: str, **defaults: Any) -> Any:
    """Return the problem that a descriptor describes; its first word names the family.

    One of benchdnn's drivers before a colon, ``deconv:`` or ``pool:``, says how to read it.

    Examples
    --------
    >>> parse("mb1_ic3ih8_oc4_kh3").family.name, parse("max_mb1_ic3ih8_kh2").family.name
    ('convolution', 'pooling')
    >>> parse("deconv:mb1_ic3ih8_oc4_kh3").operation
    'grad_input'
    """
    driver, colon, rest = text.partition(":")
    if colon and driver in DRIVERS:
        return DRIVERS[driver](rest, **defaults)
    word = re.match(r"_*([a-z0-9]*)", text)
    if word and word[1] == "inception":
        return parse_inception(text, **defaults)
    if word and word[1].startswith("deblur"):
        return parse_deblur(text, **defaults)
    if word and word[1] in KINDS:
        return parse_pool_descriptor(text, **defaults)
    return parse_descriptor(text, **defaults)
