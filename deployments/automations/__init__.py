"""Automations of the Prefect server, as a file describes them."""
