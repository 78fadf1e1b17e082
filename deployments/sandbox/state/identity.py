"""Applications, user and blob account: fixed names, so that tests and demos need no set-up."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Client:
    """An application registered with the issuer; native ones have no secret and must use PKCE."""

    id: str
    secret: str | None = None


@dataclass(frozen=True)
class SandboxIdentity:
    """Everything needed to sign in; none of it is secret."""

    service: Client = Client("sandbox-service", "sandbox-secret")
    native: Client = Client("sandbox-native")
    web: Client = Client("sandbox-web", "sandbox-web-secret")
    user: str = "ada"
    user_name: str = "Ada Sandbox"
    user_email: str = "ada@sandbox.example"
    refresh_token: str = "sandbox-refresh-token"  # noqa: S105 - the first one, for a user who never signed in
    account: str = "sandboxblobs"
    account_key: str = "c2FuZGJveC1ibG9iLWFjY291bnQta2V5LTAxMjM0NTY3ODk="

    @property
    def clients(self) -> dict[str, Client]:
        """The registered applications by id."""
        return {client.id: client for client in (self.service, self.native, self.web)}


IDENTITY = SandboxIdentity()
SCOPE = "itwin-platform"
