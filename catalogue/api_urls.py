"""API routes of the catalogue."""

from django.urls import path

from catalogue.api import CatalogueBenchmark, CatalogueEntry, CatalogueList, HubUpload

urlpatterns = [
    path("catalogue", CatalogueList.as_view(), name="catalogue"),
    path("catalogue/<slug:key>", CatalogueEntry.as_view(), name="catalogue-entry"),
    path("catalogue/<slug:key>/benchmark", CatalogueBenchmark.as_view(), name="catalogue-benchmark"),
    path("hub", HubUpload.as_view(), name="hub"),
]
