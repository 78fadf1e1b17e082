"""Lists of iTwins, iModels, changesets and named versions, against the sandbox platform."""

from blocks.itwin.apis import apis_of
from deployments.sandbox.state.seed import SEEDED
from tests.blocks.itwin.platform import Platform, Server, answer, client_to


async def test_itwins_are_listed_whole_and_searched(platform: Platform) -> None:
    """The list has every page, and up to 10,000 iTwins are asked for; a search leaves out what does not fit."""
    for number in range(7):
        platform.state.add_itwin(f"Site {number}")
    itwins = platform.itwin.itwins
    assert len([itwin async for itwin in itwins.list_itwins(page_size=3)]) == 8
    assert platform.count("GET", "/itwins") == 3
    assert platform.state.log[-1].headers["x-max-return"] == "10000"
    assert [itwin.display_name async for itwin in itwins.list_itwins(search="site 4")] == ["Site 4"]


async def test_every_name_reaches_the_platform_as_it_is() -> None:
    """Slash, quote, percent sign, umlaut and plus are encoded in the query."""
    server = Server([answer({"iTwins": [], "_links": {}})])
    name = "A/B \"c\" 100% Brücke + 'd' & e=f#g"
    assert [itwin async for itwin in apis_of(client_to(server)).itwins.list_itwins(search=name)] == []
    assert server.queries("$search") == [name]


async def test_named_versions_come_with_state_and_date(platform: Platform) -> None:
    """Versions come with the one of the latest changeset first, in full, and hidden ones are among them."""
    platform.state.name_version(SEEDED.plant, "As tendered", index=1).state = "hidden"
    listed = [version async for version in platform.itwin.imodels.list_named_versions(SEEDED.plant)]
    assert [(one.display_name, one.changeset_index, one.is_hidden) for one in listed] == [
        ("Issued for construction", 5, False),
        ("Issued for review", 3, False),
        ("As tendered", 1, True),
    ]
    assert all(version.created_date_time for version in listed)
    found = platform.itwin.imodels.list_named_versions(SEEDED.plant, search="for review")
    assert [version.display_name async for version in found] == ["Issued for review"]


async def test_a_hidden_version_is_read_by_its_id(platform: Platform) -> None:
    """A named version is read by id whatever its state; that of the baseline has no changeset."""
    hidden = platform.state.name_version(SEEDED.plant, "Start", index=0)
    hidden.state = "hidden"
    version = await platform.itwin.imodels.get_named_version(SEEDED.plant, hidden.id)
    assert (version.changeset_id, version.changeset_index, version.is_hidden) == (None, 0, True)


async def test_changesets_are_listed_from_the_latest_on(platform: Platform) -> None:
    """Changesets come from the highest index on, page by page."""
    listed = platform.itwin.imodels.list_changesets(SEEDED.plant, page_size=2)
    assert [changeset.index async for changeset in listed] == [5, 4, 3, 2, 1]


async def test_uninitialized_imodels_are_listed_on_request(platform: Platform) -> None:
    """Only initialized iModels are listed, unless those of any state are asked for."""
    imodels = platform.itwin.imodels
    assert "Draft" not in {one.display_name async for one in imodels.list_imodels(SEEDED.itwin)}
    every = [one async for one in imodels.list_imodels(SEEDED.itwin, state="", search="draft")]
    assert [one.display_name for one in every] == ["Draft"]
