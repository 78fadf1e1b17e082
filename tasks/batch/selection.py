"""Select the iModels of an iTwin that a batch names."""

from collections.abc import Sequence

from blocks.errors import InputError
from blocks.itwin.models import IModel
from tasks.addresses import is_id
from tasks.batch.options import BatchRequest
from tasks.names import near_names, only_one, same_name


def select_imodels(request: BatchRequest, listed: Sequence[IModel]) -> list[IModel]:
    """The iModels that the request names by id or name; all of them if it names none.

    Raises:
        InputError: One is not there, or several have the name.
    """
    if not request.imodel_ids:
        return list(listed)
    chosen = {_select(request, asked, listed).id for asked in sorted(request.imodel_ids)}
    return [imodel for imodel in listed if imodel.id in chosen]


def _select(request: BatchRequest, asked: str, listed: Sequence[IModel]) -> IModel:
    if is_id(asked):
        found = [imodel for imodel in listed if imodel.id.lower() == asked]
    else:
        found = [imodel for imodel in listed if _is_called(imodel, asked, request.itwin_name)]
    if not found:
        near = near_names(asked, (imodel.display_name for imodel in listed))
        raise InputError(
            f"iTwin {request.itwin_id} has no initialized iModel {asked} that this client may see.{near} "
            f"Check imodel_ids, or leave it out."
        )
    return only_one(found, asked, f"iModels of iTwin {request.itwin_id}")


def _is_called(imodel: IModel, asked: str, itwin_name: str) -> bool:
    """True for the name alone, and for the name after that of the iTwin, where that is known."""
    names = [imodel.display_name] + ([f"{itwin_name}/{imodel.display_name}"] if itwin_name else [])
    return any(same_name(name, asked) for name in names)
