"""A receiver of iTwin webhooks that turns changes of iModels into Prefect events."""
