"""Acceptance rules in TOML: what they may say, and the sentence for what they may not."""

import os
import re
from pathlib import Path

import pytest

from blocks.errors import InputError
from blocks.storage.acceptance.acceptance_rules import AcceptanceRules
from blocks.storage.acceptance.rules import GivenRules, Rules
from blocks.storage.acceptance.rules_file import read_rules_file

README = Path(__file__).parents[4] / "README.md"
EVERY_RULE = """
on_rejected = "quarantine"
ids = ["delivery.ids"]

[ifc]
min_elements = 10
max_elements = 20000
require = { IfcWall = 1, ifcdoor = 2 }
forbid = ["IfcFurniture"]
max_proxy_percent = 20
max_shrink_percent = 10.5
max_growth_percent = 400
georeference = "required"
within = [11.3, 48, 11.8, 48.3]
unique_global_ids = true
whole_references = true
min_storeys = 1
min_bytes = 1000
max_bytes = 2_000_000_000
application = "iTwin"

[mesh]
min_tiles = 1
within = [179, -20, -179, -10]
max_tile_bytes = 5000000
forbid_extensions = ["3DTILES_draco_point_compression"]
max_shrink_percent = 0
max_growth_percent = 0
"""


def read(folder: Path, text: str) -> GivenRules:
    path = folder / "rules.toml"
    path.write_text(text, "utf-8")
    return read_rules_file(str(path))


def test_every_rule_is_read(tmp_path: Path) -> None:
    """A file may name every rule; classes are spelled as in the schema, and nothing keeps its default."""
    rules = read(tmp_path, EVERY_RULE).rules
    assert rules.ifc.require == {"IfcWall": 1, "IfcDoor": 2}
    for table in (rules, rules.ifc, rules.mesh):
        assert table.model_dump(exclude_defaults=True).keys() == type(table).model_fields.keys()


def test_the_example_of_the_readme_is_valid(tmp_path: Path) -> None:
    """The rules in the README are read as they stand, and name every rule but few."""
    (example,) = re.findall(r"```toml\n(\[ifc\].*?)```", README.read_text("utf-8"), re.DOTALL)
    rules = read(tmp_path, example).rules
    unnamed = {name for table in (rules.ifc, rules.mesh) for name in type(table).model_fields} - {
        name for table in (rules.ifc, rules.mesh) for name in table.model_dump(exclude_defaults=True)
    }
    assert unnamed == {"max_elements"}


def test_the_block_has_the_same_names(tmp_path: Path) -> None:
    """The block takes what a file takes, and gives the same rules."""
    rules = read(tmp_path, EVERY_RULE).rules
    assert AcceptanceRules.model_validate(rules.model_dump()).to_rules() == rules
    assert {name for name in AcceptanceRules.model_fields if not name.startswith("_")} >= Rules.model_fields.keys()


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("[ifc]\nmin_element = 1", "have a key “ifc.min_element” that does not exist. Did you mean “min_elements”?"),
        ("[ifc]\nmin_tiles = 1", "“ifc.min_tiles” that does not exist. It belongs into the table [mesh]."),
        ("min_elements = 1", "“min_elements” that does not exist. It belongs into the table [ifc]."),
        ("[ifc]\non_rejected = 'fail'\nmin_storeys = 1", "It belongs at the top, before any table."),
        ("[ifcs]\nmin_elements = 1", "“ifcs” that does not exist. Did you mean “ifc”?"),
        ("[ifc]\nqqqq = 1", "“ifc.qqqq” that does not exist. Known ones: within,"),
        ("[ifc]\nmin_elements = 'many'", "have the text “many” as ifc.min_elements. It should be a whole number."),
        ("[ifc]\nmin_elements = -1", "have “-1” as ifc.min_elements. It should be greater than or equal to 0."),
        ("[ifc]\nmin_elements = 1.5", "have “1.5” as ifc.min_elements. It should be a whole number."),
        ("[ifc]\nmin_elements = true", "have “true” as ifc.min_elements. It should be a whole number."),
        (
            "[ifc]\nmax_proxy_percent = 101",
            "have “101” as ifc.max_proxy_percent. It should be less than or equal to 100.",
        ),
        ("[ifc]\nmax_growth_percent = nan", "have “nan” as ifc.max_growth_percent. It should be a finite number."),
        (
            "[ifc]\nunique_global_ids = 'yes'",
            "have the text “yes” as ifc.unique_global_ids. It should be true or false.",
        ),
        (
            "[ifc]\nrequire = { IfcWal = 1 }",
            "have the text “IfcWal” as ifc.require.IfcWal: no IFC schema has this class; the",
        ),
        (
            "[ifc]\nrequire = { IfcWall = 0 }",
            "have “0” as ifc.require.IfcWall. It should be greater than or equal to 1.",
        ),
        ("[ifc]\nrequire = ['IfcWall']", "have “['IfcWall']” as ifc.require. It should be a table."),
        ("[ifc]\nforbid = ['IfcWall', 'Door']", "have the text “Door” as ifc.forbid.1: no IFC schema has this class"),
        ("[ifc]\nforbid = 'IfcWall'", "have the text “IfcWall” as ifc.forbid. It should be a list."),
        ("[ifc]\nwithin = [1, 2, 3]", "as ifc.within:"),
        ("[ifc]\nwithin = [11.3, 48.3, 11.8, 48.0]", "give [west, south, east, north] in degrees"),
        ("[ifc]\nwithin = [11.3, 48.0, 11.8, 48.3, 400]", "after the degrees give the lowest and the highest metre"),
        ("[mesh]\nwithin = [11.3, 48.0, 11.8, 48.3, 600, 400]", "give the lowest and the highest metre, as [11.3,"),
        ("[ifc]\ngeoreference = 'please'", "have “please” as ifc.georeference. Choose one of: required, imodel."),
        ("on_rejected = 'delete'", "have “delete” as on_rejected. Choose one of: fail, quarantine, publish."),
        ("[ifc]\nmin_elements = 5\nmax_elements = 4", "the least (5) is more than the most (4)"),
        ("", "cannot be used: there is no rule in it"),
        ("on_rejected = 'fail'\n[ifc]\n[mesh]", "cannot be used: there is no rule in it"),
        ("[ifc]\nmin_elements = \n", "are no valid TOML: Invalid value (at line 2, column 16)"),
        ("a = " + "[" * 100_000, "are no valid TOML"),
        ("[ifc]\nmin_elements = " + "9" * 5000, "are no valid TOML"),
        ("ifc = 3", "have “3” as ifc. It should be a table."),
    ],
)
def test_what_is_wrong_is_named(text: str, words: str, tmp_path: Path) -> None:
    """One sentence names the file, the key, its value and what to write; an unknown key with the nearest known one."""
    with pytest.raises(InputError) as refused:
        read(tmp_path, text)
    said = str(refused.value)
    assert said.startswith(f"The acceptance rules {tmp_path / 'rules.toml'} ")
    assert words in said
    assert said.endswith(".")


def test_what_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A file that is missing, a folder, no text or too large is refused with its path."""
    (tmp_path / "latin.toml").write_bytes("[ifc] # ü".encode("latin-1"))
    (tmp_path / "large.toml").write_bytes(b"#" * 1024 * 1024 + b"\n\n")
    os.mkfifo(tmp_path / "pipe.toml")
    for name, words in (
        ("pipe.toml", "Not a regular file"),
        ("none.toml", "No such file"),
        (".", "directory"),
        ("latin.toml", "UTF-8"),
        ("large.toml", "more"),
    ):
        with pytest.raises(InputError, match=words):
            read_rules_file(str(tmp_path / name))
    with pytest.raises(InputError, match="No such file"):
        read_rules_file("~nobody-here/rules.toml")
    with pytest.raises(InputError, match="no file can be called so"):
        read_rules_file("a\0b.toml")


def test_the_hash_is_of_what_the_rules_say(tmp_path: Path) -> None:
    """Comments, order and defaults do not change the hash, a limit does."""
    one = read(tmp_path, "[ifc]\nmin_elements = 5\nforbid = ['IfcDoor']")
    same = read(tmp_path, "# agreed\non_rejected = 'fail'\n[ifc]\nforbid = ['ifcdoor']\nmin_elements = 5\n[mesh]")
    other = read(tmp_path, "[ifc]\nmin_elements = 6\nforbid = ['IfcDoor']")
    assert one.sha256 == same.sha256 != other.sha256
