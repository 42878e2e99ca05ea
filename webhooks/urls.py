"""Routes of the webhook's pages."""

from django.urls import path

from webhooks import views

app_name = "webhooks"
urlpatterns = [
    path("", views.page, name="page"),
    path("renew/", views.renew, name="renew"),
    path("remove/", views.remove, name="remove"),
    path("try/", views.try_out, name="try"),
    path("deliveries/<int:pk>/", views.delivery, name="delivery"),
    path("deliveries/<int:pk>/repeat/", views.repeat, name="repeat"),
]
