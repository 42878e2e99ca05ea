"""What is read about people, workspaces, tokens and the audit trail."""

from workspaces.models import ApiToken
from workspaces.secrets import TOKEN_PREFIX, digest


def usable_token(secret: str) -> ApiToken | None:
    """The token with maker and workspace, unless it is unknown, expired, revoked or its maker inactive."""
    if not secret.startswith(TOKEN_PREFIX):
        return None
    token = (
        ApiToken.objects.select_related("created_by", "workspace").filter(token_hash=digest(secret)).first()
    )
    return token if token and token.is_usable and token.created_by.is_active else None
