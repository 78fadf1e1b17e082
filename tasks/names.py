"""Find iTwins, iModels and named versions by name.

Upper and lower case are the same. If several names differ in nothing else, the one that is spelled as asked counts. The
platform's search finds candidates; where it finds none, the whole list is read, which also shows near names. How the
search treats special characters is undocumented, so an exact name is never left to it.
"""

import unicodedata
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TypeVar

from blocks.errors import InputError, NotFoundError, RequestRefusedError
from blocks.itwin.apis import ItwinApis
from blocks.itwin.models import IModel, ITwin, NamedVersion
from blocks.storage.acceptance.imodel_place import IModelPlace
from tasks.addresses import LATEST, is_id
from tasks.options import Names

MOST_CANDIDATES = 20


@dataclass(frozen=True)
class FoundIModel:
    """An iModel that was found by its name, and the iTwin that it is in."""

    imodel: IModel
    itwin: ITwin

    @property
    def display_name(self) -> str:
        """Both names, as they are given."""
        return f"{self.itwin.display_name}/{self.imodel.display_name}"

    @property
    def id(self) -> str:
        """The id of the iModel."""
        return self.imodel.id

    @property
    def names(self) -> Names:
        """What both say of themselves, for the request that exports the iModel."""
        owner = {"itwin": self.itwin.display_name, "itwin_id": self.itwin.id.lower()}
        return names_of(self.imodel).model_copy(update=owner)


def names_of(imodel: IModel) -> Names:
    """What an iModel says of itself, for the request that exports it."""
    place = IModelPlace(name=imodel.display_name, extent=imodel.box)
    return Names(imodel=imodel.display_name, itwin_id=(imodel.itwin_id or "").lower(), place=place)


Item = TypeVar("Item", ITwin, IModel, NamedVersion)
Found = TypeVar("Found", ITwin, IModel, FoundIModel, NamedVersion)


async def find_itwin(itwin: ItwinApis, name: str) -> ITwin:
    """The one iTwin of that name.

    Raises:
        NotFoundError: There is none; the message suggests near names.
        InputError: There are several; the message lists their ids.
    """
    found, listed = await _search(itwin.itwins.list_itwins, name)
    if not found:
        raise NotFoundError(_no_itwin(name, listed))
    return only_one(found, name, "iTwins")


async def find_imodel(itwin: ItwinApis, name: str) -> FoundIModel:
    """The one iModel of a name like `Campus/Plant A`; both names may have slashes of their own.

    Raises:
        NotFoundError: There is none; the message says what was searched and suggests near names.
        InputError: There are several; the message lists their ids.
    """
    itwins = await _itwins_before_slash(itwin, name)
    found, listed = list[FoundIModel](), list[FoundIModel]()
    for one in itwins:
        imodels, others = await _imodels_of(itwin, one, name)
        found += [FoundIModel(imodel, one) for imodel in imodels]
        listed += [FoundIModel(imodel, one) for imodel in others]
    if not found:
        raise NotFoundError(_no_imodel(name, itwins, listed))
    return only_one(found, name, "iModels")


async def find_named_version(itwin: ItwinApis, imodel_id: str, asked: str) -> NamedVersion:
    """The named version with that id or name, or the newest one; hidden ones only by id.

    Raises:
        NotFoundError: There is none; the message suggests near names.
        InputError: There are several; the message lists their ids.
    """
    if is_id(asked):
        return await itwin.imodels.get_named_version(imodel_id, asked)
    if asked.casefold() == LATEST:
        return await _newest_version(itwin, imodel_id)

    def versions(search: str = "") -> AsyncIterator[NamedVersion]:
        return itwin.imodels.list_named_versions(imodel_id, search=search)

    found, listed = await _search(versions, asked)
    visible = [version for version in found if not version.is_hidden]
    if not visible:
        raise NotFoundError(_no_version(imodel_id, asked, found, listed))
    return only_one(visible, asked, f"named versions of iModel {imodel_id}")


async def itwin_id_of(itwin: ItwinApis, subject: str) -> str:
    """The id itself, or that of the one iTwin of this name."""
    return subject if is_id(subject) else (await find_itwin(itwin, subject)).id.lower()


async def imodel_id_of(itwin: ItwinApis, subject: str) -> str:
    """The id itself, or that of the one iModel of this name."""
    return subject if is_id(subject) else (await find_imodel(itwin, subject)).id.lower()


def same_name(name: str, other: str) -> bool:
    """True if two names differ in nothing but upper and lower case, surrounding blanks and the form of umlauts."""
    return _key(name) == _key(other)


async def _search(read: Callable[..., AsyncIterator[Item]], name: str) -> tuple[list[Item], list[Item]]:
    """The items of that name; without one, also every item, from which an error suggests names."""
    try:
        found = _named(name, [item async for item in read(search=name)])
    except RequestRefusedError:  # the search takes no such characters
        found = []
    if found:
        return found, []
    listed = [item async for item in read()]
    return _named(name, listed), listed


def _named(name: str, items: Iterable[Item]) -> list[Item]:
    return [item for item in items if same_name(item.display_name, name)]


async def _itwins_before_slash(itwin: ItwinApis, name: str) -> list[ITwin]:
    """Candidates for the iTwin before the slash, by id or name; with several slashes in the name, all iTwins."""
    first = name.partition("/")[0]
    if is_id(first):
        return [ITwin(id=first.lower(), display_name=first)]
    if name.count("/") == 1:
        asked = first
        found, listed = await _search(itwin.itwins.list_itwins, asked)
    else:
        asked, _, _ = name.rpartition("/")
        listed = [one async for one in itwin.itwins.list_itwins()]
        found = [one for one in listed if _rest(one, name) is not None]
    if not found:
        raise NotFoundError(_no_itwin(asked, listed))
    return found


def _rest(itwin: ITwin, name: str) -> str | None:
    """What follows the name of the iTwin and a slash; None if the text does not begin with them."""
    places = [place for place, character in enumerate(name) if character == "/"]
    return next((name[place + 1 :] for place in places if same_name(name[:place], itwin.display_name)), None)


async def _imodels_of(itwin: ItwinApis, one: ITwin, name: str) -> tuple[list[IModel], list[IModel]]:
    def imodels(search: str = "") -> AsyncIterator[IModel]:
        return itwin.imodels.list_imodels(one.id, state="", search=search)

    return await _search(imodels, _rest(one, name) or "")


async def _newest_version(itwin: ItwinApis, imodel_id: str) -> NamedVersion:
    """The visible version of the highest changeset; of several on that changeset the one named last."""
    newest: NamedVersion | None = None
    async for version in itwin.imodels.list_named_versions(imodel_id, page_size=100):
        if newest is not None and version.changeset_index < newest.changeset_index:
            break
        if not version.is_hidden and (newest is None or named_at(version) > named_at(newest)):
            newest = version
    if newest is None:
        raise NotFoundError(
            f"iModel {imodel_id} has no named version that is not hidden. Name a changeset in the iModel, or leave "
            f"named_version out."
        )
    return newest


def named_at(version: NamedVersion) -> float:
    """When the version was named, in seconds since 1970; 0 if the platform does not say."""
    return version.created_date_time.timestamp() if version.created_date_time else 0.0


def only_one(found: Sequence[Found], name: str, what: str) -> Found:
    """The one that was found, or that is spelled as asked.

    Raises:
        InputError: There are several; the message lists their ids.
    """
    alike = [one for one in found if one.display_name == name] or found
    if len(alike) == 1:
        return alike[0]
    shown = ", ".join(f"“{one.display_name}” {one.id}" for one in alike[:MOST_CANDIDATES])
    more = f" and {len(alike) - MOST_CANDIDATES} more" if len(alike) > MOST_CANDIDATES else ""
    raise InputError(f"{len(alike)} {what} are called “{name}”: {shown}{more}. Give the id of the one that is meant.")


def _key(name: str) -> str:
    return unicodedata.normalize("NFC", name).strip().casefold()


def near_names(name: str, known: Iterable[str]) -> str:
    """A sentence that suggests known names; empty if none is near."""
    names = {_key(one): one for one in known}
    near = [names[key] for key in get_close_matches(_key(name), names)]
    return f" Near names: {', '.join(f'“{one}”' for one in near)}." if near else ""


def _no_itwin(name: str, listed: Sequence[ITwin]) -> str:
    return (
        f"There is no iTwin “{name}” among the {len(listed)} active iTwins that this client is a member of."
        f"{near_names(name, (one.display_name for one in listed))} "
        f"See them with: itwin-export list itwins. Or give the id."
    )


def _no_imodel(name: str, itwins: Sequence[ITwin], listed: Sequence[FoundIModel]) -> str:
    searched = ", ".join(f"“{one.display_name}” ({one.id})" for one in itwins)
    return (
        f"There is no iModel “{name}”: {len(listed)} iModels of iTwin {searched} were searched."
        f"{near_names(name, (one.display_name for one in listed))} "
        f"See them with: itwin-export list imodels {itwins[0].id}. Or give the id."
    )


def _no_version(imodel_id: str, asked: str, hidden: Sequence[NamedVersion], listed: Sequence[NamedVersion]) -> str:
    if hidden:
        return f"The named version “{asked}” of iModel {imodel_id} is hidden. Give its id {hidden[0].id} to export it."
    visible = [version.display_name for version in listed if not version.is_hidden]
    return (
        f"iModel {imodel_id} has no named version “{asked}”: {len(visible)} were searched.{near_names(asked, visible)} "
        f"See them with: itwin-export list versions {imodel_id}. Or give the id."
    )
