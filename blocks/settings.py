"""The only reader of the environment variables `ITWIN_*`, also from `.env` in the working directory."""

import logging
from functools import cache
from pathlib import Path
from typing import Annotated, Literal, Self

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator, model_validator
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from blocks.errors import ConfigurationError
from blocks.known_secrets import remember_secret
from blocks.setting_text import allowed_host, platform_address, unquoted

log = logging.getLogger("itwin.settings")

AuthenticationType = Literal["Service", "User"]
PreviewChoice = Literal["auto", "on", "off"]


class Settings(BaseSettings):
    """The settings of the application, read from variables named `ITWIN_` + the field in upper case."""

    model_config = SettingsConfigDict(
        env_prefix="ITWIN_", env_file=".env", env_ignore_empty=True, extra="ignore", frozen=True, allow_inf_nan=False
    )

    api_url: str = "https://api.bentley.com"
    issuer_url: str = "https://ims.bentley.com"
    authentication_type: AuthenticationType = "Service"
    client_id: str | None = None
    client_secret: SecretStr | None = None
    refresh_token: SecretStr | None = None
    scope: str = "itwin-platform"
    redirect_url: str = "http://localhost:3113/callback"
    allowed_hosts: Annotated[tuple[str, ...], NoDecode] = ()
    poll_seconds: float = Field(default=5, gt=0)
    poll_max_seconds: float = Field(default=60, gt=0)
    release_after_seconds: float = Field(default=120, ge=0)
    output_dir: str = "exports"
    work_dir: Path | None = None
    preview: PreviewChoice = "auto"
    tile_sha256: bool = False
    requests_per_minute: int = Field(default=450, gt=0)
    requests_per_hour: int | None = Field(default=None, gt=0)
    share_requests: bool = False
    shard_silence_seconds: float = Field(default=90, gt=0)
    task_runs_per_second: float = Field(default=20, gt=0)
    blob_connection_string: SecretStr | None = None
    blob_container: str | None = None
    blob_output_sas_url: SecretStr | None = None
    blob_logs_sas_url: SecretStr | None = None
    ids_memory_mb: int = Field(default=4096, gt=0)
    ids_seconds: int = Field(default=900, gt=0)
    webhook_secret: SecretStr | None = Field(default=None, min_length=32)
    azure_connection_string: SecretStr | None = Field(default=None, validation_alias="AZURE_STORAGE_CONNECTION_STRING")

    @field_validator("*", mode="before")
    @classmethod
    def _without_quotes(cls, value: object, info: ValidationInfo) -> object:
        """Leave out what cannot be meant, and say so: blanks, line ends and quotes around a value."""
        if not isinstance(value, str) or (meant := unquoted(value)) == value:
            return value
        _say_once(f"ITWIN_{str(info.field_name).upper()} has blanks, line ends or quotes around it; they are left out.")
        return meant

    @field_validator("api_url", "issuer_url")
    @classmethod
    def _is_an_address(cls, url: str) -> str:
        return platform_address(url)

    @field_validator("allowed_hosts", mode="before")
    @classmethod
    def _split_at_commas(cls, value: object) -> object:
        if isinstance(value, str):
            return tuple(allowed_host(host) for host in value.split(",") if unquoted(host))
        return value

    @model_validator(mode="after")
    def _secrets_are_known(self) -> Self:
        for secret in (value for _, value in self if isinstance(value, SecretStr)):
            remember_secret(secret.get_secret_value())
        return self


@cache
def _say_once(sentence: str) -> None:
    """The environment is read often."""
    log.warning(sentence)


def read_settings() -> Settings:
    """Read the settings from the environment and `.env`.

    Raises:
        ConfigurationError: A variable is invalid; the message names the variable, never its value.
    """
    try:
        return Settings()
    except ValidationError as error:
        problems = "; ".join(
            f"ITWIN_{'_'.join(str(part) for part in fault['loc']).upper()}: {fault['msg']}"
            for fault in error.errors(include_url=False, include_input=False, include_context=False)
        )
        raise ConfigurationError(f"The environment is not usable: {problems}.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"The file .env cannot be read ({type(error).__name__}). It must be UTF-8.") from None


def revealed(secret: SecretStr | None) -> str:
    """The secret's value, empty for None."""
    return secret.get_secret_value() if secret else ""
