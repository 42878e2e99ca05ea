"""For load balancers and container managers: does the process live, and can it serve?"""

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.views.decorators.http import require_safe

from evalportal.lib.probes import OK, database_state, redis_state
from workspaces import access


@access.public
@require_safe
def healthz(request: HttpRequest) -> HttpResponse:
    """200 as long as the process answers; asks nothing else."""
    return JsonResponse({"status": OK})


@access.public
@require_safe
def readyz(request: HttpRequest) -> HttpResponse:
    """200 when the database answers and is migrated, and Redis if it is used; else 503 with what is wrong."""
    checks = {**database_state(), "redis": redis_state()}
    ready = all(said in (OK, "not used") for said in checks.values())
    body = {"status": "ready" if ready else "not ready", "checks": checks}
    return JsonResponse(body, status=200 if ready else 503)
