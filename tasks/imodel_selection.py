"""Select iModels of an iTwin by id or name, for batches and for watching."""

from collections.abc import Collection, Iterable, Sequence

from blocks.errors import InputError
from blocks.itwin.models import IModel
from tasks.addresses import is_id, read_member
from tasks.names import near_names, only_one, same_name


def select_imodels(
    asked: Collection[str], listed: Sequence[IModel], itwin_id: str, itwin_name: str = ""
) -> list[IModel]:
    """The iModels that are asked for by id or name; all of them if none is.

    Raises:
        InputError: One is not there, or several have the name.
    """
    if not asked:
        return list(listed)
    chosen = {_select(one, listed, itwin_id, itwin_name).id for one in sorted(asked)}
    return [imodel for imodel in listed if imodel.id in chosen]


def select_watched(asked: Iterable[str] | None, listed: Sequence[IModel], itwin_id: str) -> list[IModel]:
    """The same, but an id that is not there is passed over: its iModel may have been deleted.

    Raises:
        InputError: A name stands for no iModel, or for several.
    """
    wanted = {read_member(one) for one in asked or ()}
    names = {one for one in wanted if not is_id(one)}
    named = {imodel.id for imodel in select_imodels(names, listed, itwin_id)} if names else set[str]()
    return [imodel for imodel in listed if not wanted or imodel.id in named or imodel.id.lower() in wanted]


def _select(asked: str, listed: Sequence[IModel], itwin_id: str, itwin_name: str) -> IModel:
    if is_id(asked):
        found = [imodel for imodel in listed if imodel.id.lower() == asked]
    else:
        found = [imodel for imodel in listed if _is_called(imodel, asked, itwin_name)]
    if not found:
        near = near_names(asked, (imodel.display_name for imodel in listed))
        raise InputError(
            f"iTwin {itwin_id} has no initialized iModel {asked} that this client may see.{near} Check imodel_ids, or "
            f"leave it out."
        )
    return only_one(found, asked, f"iModels of iTwin {itwin_id}")


def _is_called(imodel: IModel, asked: str, itwin_name: str) -> bool:
    """True for the name alone, and for the name after that of the iTwin, where that is known."""
    names = [imodel.display_name] + ([f"{itwin_name}/{imodel.display_name}"] if itwin_name else [])
    return any(same_name(name, asked) for name in names)
