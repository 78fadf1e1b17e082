"""Models of what is read back from files that other users and programs may write to."""

from datetime import datetime

from pydantic import BaseModel, ConfigDict, field_validator

from blocks.timestamps import parse_timestamp

_MOST_BITS = 63


class KeptModel(BaseModel):
    """Its times are possible ones, in UTC if they name no zone; its whole numbers fit in 64 bits, with a sign."""

    model_config = ConfigDict(frozen=True)

    @field_validator("*")
    @classmethod
    def _require_possible(cls, value: object) -> object:
        if isinstance(value, int) and value.bit_length() > _MOST_BITS:
            raise ValueError("a number of more than 64 bits")
        if isinstance(value, datetime):
            value = parse_timestamp(value)
            if value is None:
                raise ValueError("an impossible time")
        return value
