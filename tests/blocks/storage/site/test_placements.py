"""Tables that place tilesets on the Earth."""

import math
from pathlib import Path

import pytest

from blocks.errors import InputError
from blocks.storage.site.placements import Placement, read_placements
from blocks.storage.tileset.bounding_volume import geodetic

ID = "5e19bee0-3aea-4355-a9f0-c6df9989ee7d"
HEAD = "id,longitude,latitude,height,heading\n"


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", f"{HEAD}{ID.upper()},11.5,48.1,520,90\n"),
        ("b.csv", f"\ufeffID;Longitude;Latitude;Height;Heading\n{ID}; 11.5; 48.1; 520; 90\n"),
        ("c.toml", f'[[imodel]]\nid = "{ID}"\nlongitude = 11.5\nlatitude = 48.1\nheight = 520\nheading = 90\n'),
    ],
)
def test_a_table_is_read(tmp_path: Path, name: str, text: str) -> None:
    """CSV with commas or semicolons, with a byte-order mark, and TOML say the same."""
    (tmp_path / name).write_text(text)
    assert read_placements(str(tmp_path / name)) == {
        ID: Placement(id=ID, longitude=11.5, latitude=48.1, height=520, heading=90)
    }


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.csv", "", "should name the columns"),
        ("a.csv", f"id,longitude\n{ID},11\n", "should name the columns"),
        ("a.csv", f"{HEAD}{ID},11.5\n", "Entry 1 .* latitude is missing"),
        ("a.csv", f"{HEAD}{ID},11.5,95,0,0\n", "Entry 1 .* latitude is “95”"),
        ("a.csv", f"{HEAD}{ID},nan,48,0,0\n", "longitude is “nan”"),
        ("a.csv", f"{HEAD}{ID},1,2,0,0\n{ID.upper()},1,2,0,0\n", "twice"),
        ("a.csv", f"{HEAD}{ID},1,2,0,0,7,8\n", "Entry 1"),
        ("a.toml", "imodel = 1", r"one table \[\[imodel\]\]"),
        ("a.toml", "[[imodel", "no valid TOML"),
        ("a.toml", "imodel = [1]", "Entry 1"),
    ],
)
def test_a_faulty_table_is_refused(tmp_path: Path, name: str, text: str, said: str) -> None:
    """What is wrong with a table is said with the entry and the column."""
    (tmp_path / name).write_text(text)
    with pytest.raises(InputError, match=said):
        read_placements(str(tmp_path / name))


@pytest.mark.parametrize("content", [None, b"\xff\xfe\x00"])
def test_what_cannot_be_read_is_refused(tmp_path: Path, content: bytes | None) -> None:
    """A table that is missing or no text is an error that names it."""
    if content:
        (tmp_path / "a.csv").write_bytes(content)
    with pytest.raises(InputError, match=r"a\.csv cannot be read"):
        read_placements(str(tmp_path / "a.csv"))


@pytest.mark.parametrize(("heading", "east", "north"), [(0, 0, 100), (90, 100, 0), (180, 0, -100), (45, 70.7, 70.7)])
def test_the_heading_turns_the_y_axis(heading: float, east: float, north: float) -> None:
    """A point on the y axis lies in the direction of the heading, at the height of the origin."""
    matrix = Placement(id=ID, longitude=11.5, latitude=48.1, height=520, heading=heading).transform
    x, y, z = (100 * matrix[4 + axis] + matrix[12 + axis] for axis in range(3))
    longitude, latitude, height = geodetic((x, y, z))
    assert math.radians(longitude - 11.5) * math.cos(math.radians(48.1)) * 6_388_000 == pytest.approx(east, abs=0.5)
    assert math.radians(latitude - 48.1) * 6_371_000 == pytest.approx(north, abs=0.5)
    assert height == pytest.approx(520, abs=0.01)
