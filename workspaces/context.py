"""What the shell of every page shows: the switcher's workspaces and the present access."""

from typing import Any

from django.http import HttpRequest

from workspaces import access


def navigation(request: HttpRequest) -> dict[str, Any]:
    """Lazy: a page that does not draw the switcher pays no query."""
    held = getattr(request, "access", None)
    return {
        "access": held,
        "workspace": held.workspace if held else None,
        "my_workspaces": access.workspaces_of(request.user) if hasattr(request, "user") else [],
    }
