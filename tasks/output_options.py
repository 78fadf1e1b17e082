"""Where the exports of a request go; shared by the flows for one iModel and the flow for all iModels of an iTwin."""

from pathlib import Path
from typing import Annotated, Self

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, SkipValidation, ValidationError

from blocks.disk import require_writable
from blocks.errors import ConfigurationError, InputError
from blocks.storage.destination.address import StoreAddress
from blocks.storage.destination.object_store import ObjectStore
from blocks.storage.destination.store_access import StoreAccess, open_store
from tasks.output_place import address_of, check_output_dir, output_of

OutputDir = Annotated[Path, BeforeValidator(check_output_dir)]


class Options(BaseModel, frozen=True):
    """Base of the parameter models; parameters that a model does not declare are ignored."""

    @classmethod
    def check(cls, **parameters: object) -> Self:
        """Validate the parameters of a flow.

        Raises:
            InputError: A parameter is invalid; the message names it and says what to do.
        """
        try:
            return cls.model_validate(parameters)
        except ValidationError as error:
            raise InputError(_sentence(error)) from None


class OutputOptions(Options, frozen=True):
    """Where exports go.

    `output_dir` is the folder that exports are published in, or where `address` names an object store the folder in
    which they are made ready for it. `store` is that store once the flow has opened it; it holds secrets, so it is
    neither shown nor written. `names_output` is false where the block `destination` or the environment decides.
    """

    model_config = ConfigDict(arbitrary_types_allowed=True)

    output_dir: OutputDir
    address: StoreAddress | None = None
    destination: str = "default"
    names_output: bool = False
    store: SkipValidation[ObjectStore | None] = Field(default=None, exclude=True, repr=False)

    @classmethod
    def check(cls, **parameters: object) -> Self:
        """Validate the parameters of a flow.

        Raises:
            InputError: A parameter is invalid; the message names it and says what to do.
        """
        named = parameters.get("output_dir")
        place = {"address": address_of(output_of(named)), "names_output": bool(named)}
        return super().check(**parameters, **place)

    def with_output(self, output: str) -> Self:
        """The same options with another output folder or address.

        Raises:
            InputError: It is none, or the folder is not writable.
        """
        place = {"output_dir": check_output_dir(output), "address": address_of(output), "names_output": True}
        moved = self.model_copy(update=place)
        moved.require_output()
        return moved

    def require_output(self) -> None:
        """Check that files can be written in the folder.

        Raises:
            InputError: It does not work there.
        """
        require_writable(self.output_dir)

    def opened(self, access: StoreAccess) -> Self:
        """The same options with the opened object store of their address; those of a folder are unchanged.

        Raises:
            ConfigurationError: The store cannot be opened with these credentials.
        """
        if self.address is None:
            return self
        return self.model_copy(update={"store": open_store(self.address, access)})

    @property
    def output(self) -> str:
        """The output folder, or the address of the object store, as reports and messages name it."""
        return self.address.url if self.address else str(self.output_dir)

    @property
    def opened_store(self) -> ObjectStore:
        """The object store of this export.

        Raises:
            ConfigurationError: Nobody has opened it.
        """
        if self.store is None:
            raise ConfigurationError(f"{self.output} is not opened: its Export Destination was not loaded.")
        return self.store

    @property
    def opened_output(self) -> Path | ObjectStore:
        """The output folder, or the object store that is opened in its place.

        Raises:
            ConfigurationError: It is an object store that nobody has opened.
        """
        return self.opened_store if self.address else self.output_dir


def _sentence(error: ValidationError) -> str:
    """One sentence about the first validation error."""
    fault = error.errors(include_url=False)[0]
    name = next((part for part in reversed(fault["loc"]) if isinstance(part, str)), "the request")
    if fault["type"] == "literal_error":
        name = name if isinstance(fault["loc"][-1], str) else name.removesuffix("s")  # one of a list
        choices = str(fault.get("ctx", {}).get("expected")).replace("'", "").replace(" or ", ", ")
        return f"“{fault['input']}” is not a known {name}. Choose one of: {choices}."
    return f"{name} cannot be “{fault['input']}”: {fault['msg']}."
