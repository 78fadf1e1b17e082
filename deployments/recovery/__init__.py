"""What a cut process leaves behind on the Prefect server, found and cleared away."""
