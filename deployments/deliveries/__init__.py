"""Sends the events of exports to other programs: outgoing webhooks."""
