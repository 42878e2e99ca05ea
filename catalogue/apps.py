"""Django's handle on the app."""

from django.apps import AppConfig


class CatalogueConfig(AppConfig):
    name = "catalogue"
