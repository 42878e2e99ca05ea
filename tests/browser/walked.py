"""An address for every route of the portal, each of an object that is there.

`addresses()` runs within a portal's own data folder, by `manage.py shell`.
"""

import json
import tempfile
from pathlib import Path

from benchmarks.services import benchmark_publish
from datasets.editing import draft_begin, draft_fill
from datasets.importing import version_import
from datasets.mapping import FieldUse, Mapping
from datasets.models import DatasetVersion
from registry.models import RegisteredModel
from tests.test_routes import ALL, things_in, url_of
from workspaces.access import Access, access_for
from workspaces.models import Role, User
from workspaces.services import invitation_create

OTHERS = ("admin/", "api/")  # the admin and the API's description wear looks of their own


def addresses(email: str, slug: str, model: str) -> dict[str, str]:
    """By name of route. Makes one object of every kind in that workspace, with calls to that model."""
    user = User.objects.get(email=email)
    held = access_for(user, slug)
    version = sums(held)
    callable_model = RegisteredModel.objects.get(workspace=held.workspace, name=model)
    things = things_in(held, held, user, version, callable_model)
    draft_fill(draft_begin(held, DatasetVersion.objects.exclude(pk=version.pk).earliest("pk")))
    benchmark = things.benchmarked.benchmark
    benchmark_publish(held, benchmark, True)
    with_secrets = {
        "workspaces:join": f"/join/{invitation_create(held, role=Role.VIEWER)[1]}/",
        "benchmark_public": f"/shared/benchmarks/{benchmark.public_token}/",
        "delivery_file": "/shared/deliveries/none/",
        "account_reset_password_from_key": "/accounts/password/reset/key/1-none/",
        "account_confirm_email": "/accounts/confirm-email/none/",
    }
    return {
        str(route): with_secrets.get(route.name) or url_of(route, things, slug)
        for route in ALL
        if not route.pattern.startswith(OTHERS)
    }


def sums(held: Access) -> DatasetVersion:
    """Three items without pictures."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "sums.jsonl"
        rows = [{"prompt": f"{n} + {n}?", "reference": str(2 * n), "section": "Sums"} for n in range(3)]
        path.write_text("".join(f"{json.dumps(row)}\n" for row in rows))
        mapping = Mapping.of(FieldUse(name, name) for name in rows[0])
        made = version_import(held, path=path, source_name=path.name, dataset_name="Sums", mapping=mapping)
    return made.version
