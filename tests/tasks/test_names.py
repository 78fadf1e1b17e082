"""iTwins, iModels and named versions are found by name, id or address, against the sandbox platform."""

import unicodedata

import pytest

from blocks.errors import InputError, NotFoundError
from deployments.sandbox.faults.faults import Fault
from deployments.sandbox.state.seed import ITWIN_NAME, SEEDED
from tasks.addresses import read_subject
from tasks.names import find_imodel, find_itwin, find_named_version
from tests.blocks.itwin.platform import Platform

ODD_NAMES = ["A/B", 'the "big" one', "it's", "100 %25", "Brücke Süd", "x" * 255, "a+b & c=d #1", "Straße 5 (neu) [alt]"]


async def found(platform: Platform, name: str) -> str:
    return (await find_imodel(platform.itwin, name)).id


@pytest.mark.parametrize("name", ["Campus/Plant A", "campus/PLANT a"])
async def test_a_name_in_any_case_is_found_with_two_requests(platform: Platform, name: str) -> None:
    """An iModel is found by the names of its iTwin and its own, at one request for each."""
    assert await found(platform, name) == SEEDED.plant
    assert len(platform.state.log) == 2


async def test_the_itwin_before_the_slash_may_be_an_id(platform: Platform) -> None:
    """The id of an iTwin before the name of the iModel saves the search for the iTwin."""
    assert await found(platform, f"{SEEDED.itwin}/Plant A") == SEEDED.plant
    assert len(platform.state.log) == 1


@pytest.mark.parametrize("name", ODD_NAMES)
async def test_odd_names_are_found(platform: Platform, name: str) -> None:
    """Names with slash, quotes, percent sign, umlauts and 255 characters are found, of the iTwin and of the iModel."""
    itwin = platform.state.add_itwin(name)
    imodel = platform.state.add_imodel(itwin.id, name)
    assert await found(platform, f"{name}/{name}") == imodel.id
    assert (await find_itwin(platform.itwin, unicodedata.normalize("NFD", name))).id == itwin.id


async def test_what_the_search_does_not_take_is_found_in_the_list(platform: Platform) -> None:
    """If the platform refuses to search for a text, the whole list is compared."""
    platform.state.faults.add(Fault(path="/itwins", status=422))
    assert (await find_itwin(platform.itwin, ITWIN_NAME)).id == SEEDED.itwin


async def test_two_of_one_name_are_listed_with_their_ids(platform: Platform) -> None:
    """If two iModels have the asked name, the error names both ids; one spelled as asked decides."""
    second = platform.state.add_imodel(SEEDED.itwin, "Plant A")
    with pytest.raises(InputError, match=f"2 iModels are called.*{SEEDED.plant}.*{second.id}"):
        await find_imodel(platform.itwin, "Campus/Plant A")
    third = platform.state.add_imodel(SEEDED.itwin, "PLANT A")
    assert await found(platform, "Campus/PLANT A") == third.id


async def test_two_itwins_of_one_name_are_told_apart_by_their_imodels(platform: Platform) -> None:
    """Display names of iTwins are not unique: the iTwin that has the iModel counts."""
    other = platform.state.add_itwin(ITWIN_NAME)
    assert await found(platform, "Campus/Plant A") == SEEDED.plant
    with pytest.raises(InputError, match=f"2 iTwins are called “Campus”.*{SEEDED.itwin}.*{other.id}"):
        await find_itwin(platform.itwin, ITWIN_NAME)


async def test_a_slash_may_belong_to_either_name(platform: Platform) -> None:
    """A text with two slashes is divided after the name of an iTwin; if several fit, the candidates are listed."""
    left, right = platform.state.add_itwin("A"), platform.state.add_itwin("A/B")
    one = platform.state.add_imodel(left.id, "B/C")
    assert await found(platform, "a/b/c") == one.id
    other = platform.state.add_imodel(right.id, "C")
    with pytest.raises(InputError, match=f"{one.id}.*{other.id}"):
        await find_imodel(platform.itwin, "A/B/C")


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("Campsu/Plant A", "no iTwin “Campsu” among the 1 active.*Near names: “Campus”"),
        ("Campus/Plnat A", "5 iModels of iTwin “Campus”.*Near names: “Campus/Plant A”"),
        ("Nowhere/at/all", "no iTwin “Nowhere/at” among the 1 active iTwins that this client is a member of. See"),
    ],
)
async def test_no_match_says_what_was_searched(platform: Platform, name: str, message: str) -> None:
    """Without a match the error says what was searched and suggests near names."""
    with pytest.raises(NotFoundError, match=message):
        await find_imodel(platform.itwin, name)


@pytest.mark.parametrize(
    ("kind", "given", "expected"),
    [
        ("iModel", f"  {SEEDED.plant.upper()} ", SEEDED.plant),
        ("iModel", f"https://developer.bentley.com/my-itwins/{SEEDED.itwin}/{SEEDED.plant}/view", SEEDED.plant),
        ("iTwin", f"https://developer.bentley.com/my-itwins/{SEEDED.itwin}/{SEEDED.plant}/view", SEEDED.itwin),
        ("iModel", f"https://a.example/context/{SEEDED.itwin}/imodel/{SEEDED.plant}?x={SEEDED.bridge}", SEEDED.plant),
        ("iTwin", f"https://a.example/?iTwinId={SEEDED.itwin}&iModelId={SEEDED.plant}", SEEDED.itwin),
        ("iModel", f"HTTPS://a.example/?iModelId%3D{SEEDED.plant}", SEEDED.plant),
        ("iModel", f"https://api.bentley.com/imodels/{SEEDED.plant}/changesets", SEEDED.plant),
        ("iTwin", "Campus", "Campus"),
        ("iModel", "Campus/Plant A", "Campus/Plant A"),
    ],
)
def test_ids_and_addresses_are_read_without_a_request(kind: str, given: str, expected: str) -> None:
    """An id in any case, or in an address as browsers show it, is read from the text; a name stays as it is."""
    assert read_subject(given, kind) == expected  # pyright: ignore[reportArgumentType]


@pytest.mark.parametrize(
    ("kind", "given", "message"),
    [
        ("iModel", "Plant A", "“Plant A” is not an iModel: give its id, its name with that of its iTwin"),
        ("iModel", "Campus/", "is not an iModel"),
        ("iModel", "/Plant A", "is not an iModel"),
        ("iTwin", " ", "is not an iTwin"),
        ("iTwin", "x" * 256, "longer than any name of an iTwin"),
        ("iModel", "https://a.example/p?key=secret", r"address https://a\.example/p does not say which iModel"),
        ("iTwin", f"https://a.example/imodels/{SEEDED.plant}", "does not say which iTwin"),
        ("iModel", f"https://a.example/{SEEDED.itwin}/{SEEDED.plant}", "does not say which iModel"),
    ],
)
def test_what_is_neither_is_refused(kind: str, given: str, message: str) -> None:
    """What is no id, name or address of its kind is refused without a request and without its query string."""
    with pytest.raises(InputError, match=message) as refused:
        read_subject(given, kind)  # pyright: ignore[reportArgumentType]
    assert "secret" not in str(refused.value)


@pytest.mark.parametrize("asked", ["Issued for review", "issued FOR review", "id"])
async def test_a_named_version_is_found_with_one_request(platform: Platform, asked: str) -> None:
    """A named version is found by its name in any case or by its id, at one request."""
    version = platform.state.imodels[SEEDED.plant].named_versions[0]
    given = version.id if asked == "id" else asked
    assert (await find_named_version(platform.itwin, SEEDED.plant, given)).changeset_index == 3
    assert len(platform.state.log) == 1


async def test_latest_is_the_version_of_the_highest_changeset(platform: Platform) -> None:
    """`latest` is the visible version of the highest changeset, and of two on it the one named last."""
    state = platform.state
    state.clock.advance(60)
    state.name_version(SEEDED.plant, "Named later for an older one", index=2)
    last = state.name_version(SEEDED.plant, "As built", index=5)
    state.clock.advance(60)
    state.name_version(SEEDED.plant, "Secret", index=5).state = "hidden"
    assert (await find_named_version(platform.itwin, SEEDED.plant, "LATEST")).id == last.id


async def test_a_hidden_version_is_passed_over_unless_named_by_id(platform: Platform) -> None:
    """A hidden version is refused by name with its id, passed over by `latest`, and exported by id."""
    review, construction = platform.state.imodels[SEEDED.plant].named_versions
    construction.state = "hidden"
    with pytest.raises(NotFoundError, match=f"is hidden. Give its id {construction.id}"):
        await find_named_version(platform.itwin, SEEDED.plant, "Issued for construction")
    assert (await find_named_version(platform.itwin, SEEDED.plant, "latest")).id == review.id
    assert (await find_named_version(platform.itwin, SEEDED.plant, construction.id)).id == construction.id


async def test_a_renamed_version_is_found_by_its_new_name_and_its_id(platform: Platform) -> None:
    """After a version is renamed, its old name is not found and near names are suggested; its id stays."""
    version = platform.state.imodels[SEEDED.plant].named_versions[1]
    version.name = "Issued for construction, rev. B"
    with pytest.raises(NotFoundError, match=r"no named version “Issued for construction”: 2 were searched.*rev\. B"):
        await find_named_version(platform.itwin, SEEDED.plant, "Issued for construction")
    assert (await find_named_version(platform.itwin, SEEDED.plant, version.id)).display_name == version.name


async def test_an_imodel_without_named_versions_has_no_latest(platform: Platform) -> None:
    """`latest` of an iModel without named versions says what to do."""
    with pytest.raises(NotFoundError, match="no named version that is not hidden"):
        await find_named_version(platform.itwin, SEEDED.bridge, "latest")
