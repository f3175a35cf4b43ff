"""Addresses of what staff do outside the admin, under /operations/."""

from django.urls import path

from operations import actions, views

urlpatterns = [
    path("upload/", views.upload, name="upload"),
    path("upload/<slug:upload_id>/", views.uploaded, name="uploaded"),
    path("upload/<slug:upload_id>/progress/", views.upload_progress, name="upload_progress"),
    path("upload/<slug:upload_id>/check/", views.upload_check, name="upload_check"),
    path("upload/<slug:upload_id>/publish/", views.upload_publish, name="upload_publish"),
    path("upload/<slug:upload_id>/discard/", views.upload_discard, name="upload_discard"),
    path("upload/<slug:upload_id>/rejected/<slug:kind>/", views.upload_rejected, name="upload_rejected"),
    # What is done to customers, and their statements
    path("act/<slug:what>/", actions.act, name="act"),
    path("statement.<str:form>", actions.statement, name="statement"),
]
