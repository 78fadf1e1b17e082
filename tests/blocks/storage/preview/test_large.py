"""A picture of a file that is larger than what is drawn."""

from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from blocks.bounds import MIB
from blocks.storage.preview.drawing import Limits, draw
from blocks.storage.preview.limits import LARGEST_PICTURE
from tests.blocks.storage.preview.models import boxes, share_filled

PRODUCTS = 200_000


@pytest.mark.campaign
def test_a_file_of_200_000_products_is_drawn_within_the_limits(tmp_path: Path) -> None:
    """Of 200 000 products the largest are drawn, within the limits on time, memory and bytes of every export."""
    sizes = [1.0 + number % 7 / 10 for number in range(PRODUCTS)]
    drawn = draw("ifc", [boxes(tmp_path / "large.ifc", sizes, in_row=450)])
    assert drawn.reason == ""
    assert len(drawn.png) <= LARGEST_PICTURE
    assert Image.open(BytesIO(drawn.png)).width <= 1000
    filled, across = share_filled(drawn.png)
    assert filled > 0.005
    assert across > 0.85


@pytest.mark.campaign
def test_a_picture_has_a_memory_limit(tmp_path: Path) -> None:
    """A file that takes more memory than the limit is given up, and the reason names the limit."""
    drawn = draw("ifc", [boxes(tmp_path / "a.ifc", [1.0] * 30_000)], Limits(seconds=150, memory=300 * MIB))
    assert drawn.reason == "drawing it takes more than 300 MiB of memory"
