"""Models of the Storage API. Vendor page: https://developer.bentley.com/apis/storage/operations/."""

from typing import Annotated
from urllib.parse import unquote

from pydantic import AfterValidator, Field

from blocks.errors import ForeignDataError
from blocks.foreign_data import split_url
from blocks.itwin.models import Link, PlatformModel, Timestamp


class StorageFile(PlatformModel):
    """A file of the iTwin's Storage; sizes in bytes."""

    id: str
    display_name: str = ""
    path: str | None = None
    size: int | None = None
    created_date_time: Timestamp = None
    last_modified_date_time: Timestamp = None
    parent_folder_id: str | None = None


class StorageFolder(PlatformModel):
    """A folder of the iTwin's Storage."""

    id: str
    display_name: str = ""


def _of_url(link: Link) -> Link:
    try:
        split_url(link.href)
    except ForeignDataError as error:
        raise ValueError(str(error)) from None
    return link


UrlLink = Annotated[Link, AfterValidator(_of_url)]
"""A link whose path is read; the answer is unusable if it is no URL."""


class TopLevelLinks(PlatformModel):
    """Links of the top level of an iTwin's Storage."""

    folder: UrlLink


class StorageTopLevel(PlatformModel):
    """The top level of an iTwin's Storage; the link `folder` ends in the id of the root folder."""

    links: TopLevelLinks = Field(alias="_links")

    @property
    def folder_id(self) -> str:
        """Id of the root folder."""
        return unquote(split_url(self.links.folder.href).path.rstrip("/").rpartition("/")[2])


class UploadLinks(PlatformModel):
    """Links of an upload to Storage; `upload_url` is a SAS URL that may write, so it is left out of the repr."""

    upload_url: Link = Field(repr=False)
    complete_url: UrlLink


class StorageUpload(PlatformModel):
    """An upload to Storage that has been announced; the answer names the file in the link to its completion only."""

    links: UploadLinks = Field(alias="_links")

    @property
    def file_id(self) -> str:
        """Id of the file: the part of the path before `/complete`."""
        path = split_url(self.links.complete_url.href).path.rstrip("/")
        return unquote(path.removesuffix("/complete").rpartition("/")[2])
