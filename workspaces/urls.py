"""Routes of people pages."""

from django.urls import path

from workspaces import entrance, views

app_name = "workspaces"
urlpatterns = [
    path("setup/", entrance.setup, name="setup"),
    path("join/<str:secret>/", entrance.join, name="join"),
    path("workspaces/new/", views.create, name="create"),
    path("w/<slug:slug>/settings/", views.settings_page, name="settings"),
    path("w/<slug:slug>/settings/rename/", views.rename, name="rename"),
    path("w/<slug:slug>/settings/delete/", views.delete, name="delete"),
    path("w/<slug:slug>/members/", views.members, name="members"),
    path("w/<slug:slug>/members/leave/", views.leave, name="leave"),
    path("w/<slug:slug>/members/<int:pk>/role/", views.member_role, name="member_role"),
    path("w/<slug:slug>/members/<int:pk>/remove/", views.member_remove, name="member_remove"),
    path("w/<slug:slug>/invitations/", views.invite, name="invite"),
    path("w/<slug:slug>/invitations/<int:pk>/revoke/", views.invitation_revoke, name="invitation_revoke"),
    path("w/<slug:slug>/tokens/", views.tokens, name="tokens"),
    path("w/<slug:slug>/tokens/<int:pk>/revoke/", views.token_revoke, name="token_revoke"),
]
