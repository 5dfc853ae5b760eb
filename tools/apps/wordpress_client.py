"""WordPress as its author and readers use it, over HTTP: install, log in, write, comment, upload.

Knows WordPress's forms and its REST API; knows no server.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Self

import httpx

from apps.pages import PageError, checked

if TYPE_CHECKING:
    from types import TracebackType

USER = "ada"
PASSWORD = "engine number one"  # noqa: S105 - of a blog that lives as long as its test
TITLE = "Howdah Blog"


class Blog:
    """One visitor with one cookie jar.

    Args:
        base_url: address of the server, the blog being at its root.
        timeout_s: limit for each request.

    Raises:
        PageError: from every method, when the answer is not what it should be.
        httpx.HTTPError: from every method, when there is no answer.
    """

    def __init__(self, base_url: str, timeout_s: float = 30.0) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, follow_redirects=True, trust_env=False)
        self._nonce = ""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, status: int = 200, **query: str) -> httpx.Response:
        """Fetch anything; another status or PHP's error texts are a `PageError`."""
        return checked(self._http.get(path, params=query or None), status)

    def install(self) -> None:
        """Run the installer, then give posts readable addresses."""
        form = {
            "weblog_title": TITLE,
            "user_name": USER,
            "admin_password": PASSWORD,
            "admin_password2": PASSWORD,
            "pw_weak": "1",
            "admin_email": "ada@example.org",
            "blog_public": "0",
            "Submit": "Install WordPress",
            "language": "",
        }
        page = checked(self._http.post("/wp-admin/install.php", params={"step": "2"}, data=form)).text
        _expect("Success!", page)
        self.log_in()
        page = self.get("/wp-admin/options-permalink.php").text
        nonce = re.search(r'name="_wpnonce" value="(\w+)"', page)
        if nonce is None:
            raise PageError(f"no form for permalinks in this page:\n{page[:2000]}")
        fields = {"_wpnonce": nonce[1], "selection": "custom", "permalink_structure": "/%year%/%postname%/"}
        _expect(
            "Permalink structure updated",
            checked(self._http.post("/wp-admin/options-permalink.php", data=fields)).text,
        )

    def log_in(self, password: str = PASSWORD) -> str:
        """Send the login form and return the page that follows."""
        self.get("/wp-login.php")  # sets the cookie that the form asks back
        form = {"log": USER, "pwd": password, "wp-submit": "Log In", "redirect_to": "/wp-admin/", "testcookie": "1"}
        return checked(self._http.post("/wp-login.php", data=form)).text

    def write(self, title: str, text: str) -> str:
        """Publish a post and return the path of its page."""
        answer = self.api("POST", "posts", json={"title": title, "content": text, "status": "publish"}, status=201)
        return httpx.URL(answer["link"]).path

    def upload(self, name: str, content: bytes, media_type: str) -> dict[str, Any]:
        """Upload a picture and return what the media library knows of it."""
        headers = {"Content-Type": media_type, "Content-Disposition": f'attachment; filename="{name}"'}
        return self.api("POST", "media", content=content, headers=headers, status=201)

    def comment(self, post: str, author: str, text: str) -> str:
        """Leave a comment below a post, which the post's author has to approve, and return the page that follows."""
        number = re.search(r"postid-(\d+)", self.get(post).text)
        if number is None:
            raise PageError(f"{post} is no post")
        form = {
            "comment": text,
            "author": author,
            "email": "reader@example.org",
            "url": "",
            "comment_post_ID": number[1],
            "comment_parent": "0",
            "submit": "Post Comment",
        }
        return checked(self._http.post("/wp-comments-post.php", data=form)).text

    def api(self, method: str, resource: str, *, status: int = 200, **options: Any) -> dict[str, Any]:
        """Call the REST API as the user who is logged in."""
        if not self._nonce:
            self._nonce = self.get("/wp-admin/admin-ajax.php", action="rest-nonce").text
        headers = {"X-WP-Nonce": self._nonce, **options.pop("headers", {})}
        answer = checked(self._http.request(method, f"/wp-json/wp/v2/{resource}", headers=headers, **options), status)
        result: dict[str, Any] = answer.json()
        return result


def _expect(text: str, page: str) -> None:
    if text not in page:
        raise PageError(f"{text!r} is missing in this page:\n{page[:4000]}")
