"""Addresses, below the place where the project is mounted."""

from __future__ import annotations

from django.urls import path

from project import views

urlpatterns = [
    path("", views.notes, name="notes"),
    path("whoami", views.whoami, name="whoami"),
]
