"""A version's items as a download, for pages and the API alike."""

from django.http import HttpRequest
from django.http.response import HttpResponseBase
from django.utils.text import slugify

from datasets.exporters import EXPORTERS, Exporter
from datasets.models import DatasetVersion
from evalportal.lib.streaming import download


def export_response(request: HttpRequest, version: DatasetVersion, key: str) -> HttpResponseBase:
    """Streamed. Raises UnknownPlugin for a format that does not exist."""
    exporter: Exporter = EXPORTERS[key]()
    name = f"{slugify(version.dataset.name) or 'dataset'}-v{version.number}.{key}"
    return download(request, exporter.parts(version), filename=name, content_type=exporter.content_type)
