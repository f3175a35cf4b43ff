"""Addresses of what staff do outside the admin, under /operations/."""

from django.urls import path

from operations import actions, paid_here, search, views, worklist

urlpatterns = [
    path("upload/", views.upload, name="upload"),
    path("upload/<slug:upload_id>/", views.uploaded, name="uploaded"),
    path("upload/<slug:upload_id>/progress/", views.upload_progress, name="upload_progress"),
    path("upload/<slug:upload_id>/check/", views.upload_check, name="upload_check"),
    path("upload/<slug:upload_id>/publish/", views.upload_publish, name="upload_publish"),
    path("upload/<slug:upload_id>/discard/", views.upload_discard, name="upload_discard"),
    path("upload/<slug:upload_id>/rejected/<slug:kind>/", views.upload_rejected, name="upload_rejected"),
    # Who owes, and whom to call next
    path("receivables/", worklist.receivables, name="receivables"),
    path("receivables/export.<str:form>", worklist.receivables_export, name="receivables_export"),
    path("receivables/paid-here/", paid_here.page, name="paid_here"),
    path("receivables/paid-here/export.<str:form>", paid_here.export, name="paid_here_export"),
    # A customer or an order, from every page
    path("search/", search.search, name="search"),
    # What is done to customers, and their statements
    path("act/<slug:what>/", actions.act, name="act"),
    path("statement.<str:form>", actions.statement, name="statement"),
]
