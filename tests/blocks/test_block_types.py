"""Prefect's standard block tests, and the blocks' own validation."""

from typing import Any

import pytest
from prefect.blocks.core import Block
from prefect.testing.standard_test_suites.blocks import BlockStandardTestSuite
from pydantic import SecretStr, ValidationError

from blocks.itwin.credentials import ItwinCredentials
from blocks.prefect_server.outgoing_webhook import OutgoingWebhook
from blocks.storage.acceptance.acceptance_rules import AcceptanceRules
from blocks.storage.export_destination import ExportDestination
from blocks.storage.user_blob_storage import UserBlobStorage


class PromisedBlock(BlockStandardTestSuite):
    """Prefect's standard block tests, without the download of the logo."""

    slug = ""

    def test_has_a_valid_image(self, block: type[Block]) -> None:
        """The logo is fetched over HTTPS."""
        logo: object = getattr(block, "_logo_url", None)
        assert str(logo).startswith("https://")

    def test_has_the_promised_slug(self, block: type[Block]) -> None:
        """The slug that users script against does not change."""
        assert block.get_block_type_slug() == self.slug

    def test_every_secret_field_is_a_secret(self, block: type[Block]) -> None:
        """A field whose name says it is secret is kept as one."""
        names = ("secret", "token", "connection_string", "sas_url")
        fields = {name: field for name, field in block.model_fields.items() if any(word in name for word in names)}
        assert fields
        assert all("SecretStr" in str(field.annotation) for field in fields.values())


class TestItwinCredentials(PromisedBlock):
    slug = "itwin-credentials"

    @pytest.fixture
    def block(self) -> type[Block]:
        """The block type under test."""
        return ItwinCredentials


class TestExportDestination(PromisedBlock):
    slug = "export-destination"

    @pytest.fixture
    def block(self) -> type[Block]:
        """The block type under test."""
        return ExportDestination


class TestUserBlobStorage(PromisedBlock):
    slug = "user-blob-storage"

    @pytest.fixture
    def block(self) -> type[Block]:
        """The block type under test."""
        return UserBlobStorage


class TestOutgoingWebhook(PromisedBlock):
    slug = "outgoing-webhook"

    @pytest.fixture
    def block(self) -> type[Block]:
        """The block type under test."""
        return OutgoingWebhook


@pytest.mark.parametrize(
    ("url", "secret", "said"),
    [("ftp://a", "x" * 32, "https://"), ("https://", "x" * 32, "host"), ("https://a", "short", "32 characters")],
)
def test_an_outgoing_webhook_is_checked(url: str, secret: str, said: str) -> None:
    """Saving the block requires an http or https address with a host, and a secret of at least 32 characters."""
    with pytest.raises(ValidationError, match=said):
        OutgoingWebhook(url=SecretStr(url), secret=SecretStr(secret))


class TestAcceptanceRules(PromisedBlock):
    slug = "acceptance-rules"

    @pytest.fixture
    def block(self) -> type[Block]:
        """The block type under test."""
        return AcceptanceRules

    def test_every_secret_field_is_a_secret(self, block: type[Block]) -> None:
        """Rules hold no secret."""
        assert "SecretStr" not in str(block.model_fields)


SAS = SecretStr("https://a.example/c/b?sig=s")


@pytest.mark.parametrize(
    "fields",
    [
        {},
        {"container": "c"},
        {"connection_string": SecretStr("x")},
        {"account_url": "https://a.blob.core.windows.net"},
        {"logs_sas_url": SAS},
    ],
)
def test_half_a_storage_is_refused(fields: dict[str, Any]) -> None:
    """A storage block with neither an account nor a SAS link is invalid."""
    with pytest.raises(ValidationError, match="output SAS link"):
        UserBlobStorage(**fields)


def test_the_printed_storage_holds_no_secret() -> None:
    """The printed block contains neither the link nor the connection string."""
    storage = UserBlobStorage(connection_string=SecretStr("AccountKey=k3y"), container="c", output_sas_url=SAS)
    assert "k3y" not in f"{storage!r}"
    assert "sig=" not in f"{storage!r} {storage.model_dump_json()}"
