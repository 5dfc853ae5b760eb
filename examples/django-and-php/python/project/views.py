"""The views: one is a coroutine on the server's event loop, one a plain function in a thread."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.urls import reverse

_notes: list[str] = ["Django and PHP share this process."]


async def notes(request: HttpRequest) -> HttpResponse:
    """List the notes, or add the one in the form field ``text``."""
    if request.method == "POST":
        text = request.POST.get("text", "").strip()
        if not text:
            return JsonResponse({"error": "text is missing"}, status=400)
        _notes.append(text)
    return JsonResponse({"notes": _notes, "at": reverse("notes")})


def whoami(request: HttpRequest) -> HttpResponse:
    """Tell what Django knows of the client."""
    return JsonResponse(
        {"address": request.META["REMOTE_ADDR"], "host": request.get_host(), "secure": request.is_secure()}
    )
