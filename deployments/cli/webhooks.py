"""`itwin-export webhooks register|list|remove`: subscriptions to changes of iModels."""

import json as json_module
import sys
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from typing import Annotated, Any

from cyclopts import App, Parameter
from rich.table import Table

from blocks.errors import ConfigurationError, InputError
from blocks.itwin.api.webhooks import Webhook, WebhooksApi
from blocks.itwin.apis import ItwinApis
from blocks.settings import read_settings
from blocks.urls import host_of, is_loopback
from deployments.cli.own_server import run_with_server
from deployments.cli.tables import add_row, wide_console
from deployments.output_streams import write_json
from deployments.webhooks.message import FOLLOWED
from tasks.addresses import read_subject
from tasks.load_blocks import load_credentials
from tasks.names import itwin_id_of

app = App(name="webhooks", help="Manage subscriptions to changes of iModels.", help_format="plaintext")
AsJson = Annotated[bool, Parameter(negative="")]


@app.command
def register(callback_url: str, *, itwin_id: str, credentials: str = "default", json: AsJson = False) -> None:
    """Register a webhook: the platform then reports changes of the iTwin's iModels to the receiver at this address.

    A webhook that is there already is kept and activated. The secret is the one in ITWIN_WEBHOOK_SECRET; the receiver
    must have the same.

    Args:
        callback_url: Public address of the receiver, https://…/webhooks/itwin.
        itwin_id: The iTwin: its id, its name, or its address copied from the browser.
        credentials: Name of an iTwin Credentials block; it must be a service application.
        json: Print one JSON document.
    """
    _show([run_with_server(_register(callback_url, read_subject(itwin_id, "iTwin"), credentials))], as_json=json)


@app.command(name="list")
def list_(*, credentials: str = "default", json: AsJson = False) -> None:
    """List the webhooks of this service application.

    Args:
        credentials: Name of an iTwin Credentials block.
        json: Print one JSON document.
    """
    _show(run_with_server(_list(credentials)), as_json=json)


@app.command
def remove(webhook_id: str, *, credentials: str = "default") -> None:
    """End a subscription.

    Args:
        webhook_id: Id of the webhook, as listed.
        credentials: Name of an iTwin Credentials block.
    """
    run_with_server(_remove(webhook_id, credentials))
    sys.stdout.write(f"Removed webhook {webhook_id}.\n")


@asynccontextmanager
async def _apis(credentials: str) -> AsyncGenerator[ItwinApis]:
    async with (await load_credentials(credentials)).get_client() as apis:
        yield apis


async def _register(callback_url: str, itwin: str, credentials: str) -> Webhook:
    secret = read_settings().webhook_secret
    if secret is None:
        raise ConfigurationError(
            "ITWIN_WEBHOOK_SECRET is not set. Set it to at least 32 random characters, here and for the receiver; "
            'for example: python -c "import secrets; print(secrets.token_hex(32))"'
        )
    if not callback_url.startswith("https://") and not is_loopback(host_of(callback_url)):
        raise InputError(f"“{callback_url}” cannot be delivered to: the platform takes https:// addresses only.")
    events = sorted(FOLLOWED)
    async with _apis(credentials) as apis:
        itwin_id, webhooks = await itwin_id_of(apis, itwin), WebhooksApi(apis.client)
        found = [known.id for known in await webhooks.list_webhooks() if _serves(known, callback_url, itwin_id)]
        if not found:
            created = await webhooks.create_webhook(callback_url, itwin_id=itwin_id, event_types=events, secret=secret)
            found = [created.id]
        return await webhooks.activate_webhook(found[0], event_types=events, secret=secret)


async def _list(credentials: str) -> list[Webhook]:
    async with _apis(credentials) as apis:
        return await WebhooksApi(apis.client).list_webhooks()


async def _remove(webhook_id: str, credentials: str) -> None:
    async with _apis(credentials) as apis:
        await WebhooksApi(apis.client).delete_webhook(webhook_id)


def _serves(webhook: Webhook, callback_url: str, itwin_id: str) -> bool:
    return webhook.callback_url == callback_url and (webhook.scope_id or "").lower() == itwin_id


def _show(webhooks: list[Webhook], *, as_json: bool) -> None:
    """On stdout, without secrets."""
    if as_json:
        rows: list[dict[str, Any]] = [webhook.model_dump(mode="json", exclude={"secret"}) for webhook in webhooks]
        write_json(json_module.dumps(rows))
        return
    table = Table(title="Webhooks", title_justify="left")
    for column in ("Id", "Active", "iTwin", "Events", "Address"):
        table.add_column(column, overflow="fold")
    for webhook in webhooks:
        active, events = "yes" if webhook.active else "no", ", ".join(webhook.event_types)
        add_row(table, webhook.id, active, webhook.scope_id or webhook.scope, events, webhook.callback_url)
    wide_console().print(table)
