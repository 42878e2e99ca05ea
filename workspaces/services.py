"""What users command about workspaces, members, invitations and tokens; each writes the audit trail."""

from datetime import timedelta

from django.db.models import Q
from django.utils import timezone

from workspaces.models import ApiToken

USE_NOTED_EVERY = timedelta(minutes=1)


def token_used(token: ApiToken) -> None:
    """Notes the use, at most once a minute, so that a busy script costs no write per request."""
    now = timezone.now()
    stale = Q(last_used_at=None) | Q(last_used_at__lt=now - USE_NOTED_EVERY)
    if token.last_used_at is None or token.last_used_at < now - USE_NOTED_EVERY:
        ApiToken.objects.filter(stale, pk=token.pk).update(last_used_at=now)
