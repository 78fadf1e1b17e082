from deployments.sandbox.server import serve

serve()
