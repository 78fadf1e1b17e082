"""A receiver of iTwin webhooks that turns news about iModels into Prefect events."""
