"""All routes: pages per workspace, the API, the admin, and the account pages."""

from django.contrib import admin
from django.urls import include, path

from benchmarks.views import public
from evalportal import health
from runs.views import status
from webhooks import views as webhook_views
from workspaces import views as workspace_views

admin.autodiscover()  # here, and not by the app: workers do without

urlpatterns = [
    path("", workspace_views.home, name="home"),
    path("healthz", health.healthz, name="healthz"),
    path("readyz", health.readyz, name="readyz"),
    path("metrics", status.metrics, name="metrics"),
    path("status/", status.page, name="status"),
    path("status/figures/", status.figures, name="status_figures"),
    path("admin/", admin.site.urls),
    path("accounts/", include("workspaces.account_urls")),
    path("", include("workspaces.urls")),
    path("w/<slug:slug>/settings/webhook/", include("webhooks.urls")),
    path("w/<slug:slug>/", include("analysis.urls")),
    path("w/<slug:slug>/datasets/generate/", include("generation.urls")),
    path("w/<slug:slug>/datasets/catalogue/", include("catalogue.urls")),
    path("w/<slug:slug>/datasets/", include("datasets.urls")),
    path("w/<slug:slug>/models/", include("registry.urls")),
    path("w/<slug:slug>/judges/", include("judges.urls")),
    path("w/<slug:slug>/runs/", include("runs.urls")),
    path("w/<slug:slug>/benchmarks/", include("benchmarks.urls")),
    path("shared/benchmarks/<str:token>/", public.board, name="benchmark_public"),
    path("shared/deliveries/<str:signed>/", webhook_views.file, name="delivery_file"),
    path("api/", include("evalportal.api_urls")),
]

handler400 = "workspaces.error_pages.bad_request"
handler403 = "workspaces.error_pages.forbidden"
handler404 = "workspaces.error_pages.not_found"
handler429 = "workspaces.error_pages.too_many"  # allauth's name for it
handler500 = "workspaces.error_pages.failed"
