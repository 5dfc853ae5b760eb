"""DokuWiki as a person with a browser uses it, over HTTP: install, log in, write, read, upload.

Every page that passes through is checked for PHP's own error texts, because DokuWiki answers 200 with them.
Knows DokuWiki's forms; knows no server.
"""

from __future__ import annotations

import html
import re
from html.parser import HTMLParser
from typing import TYPE_CHECKING, Self

import httpx

if TYPE_CHECKING:
    from types import TracebackType

USER = "ada"
PASSWORD = "engine number one"  # noqa: S105 - of a wiki that lives as long as its test
FULL_NAME = "Ada Example"
TITLE = "Howdah Wiki"

_PHP_ERROR = re.compile(
    r"(?:<b>)?(?:PHP )?(Warning|Notice|Deprecated|Fatal error|Parse error|Catchable fatal error)(?:</b>)?:\s.{0,200}"
    r" on line (?:<b>)?\d+",
    re.DOTALL,
)


class WikiError(AssertionError):
    """The wiki answered something that a working wiki does not."""


class Wiki:
    """One visitor with one cookie jar.

    Args:
        base_url: address of the server, the wiki being at its root.
        timeout_s: limit for each request.

    Raises:
        WikiError: from every method, when the answer is not what it should be.
        httpx.HTTPError: from every method, when there is no answer.
    """

    def __init__(self, base_url: str, timeout_s: float = 20.0) -> None:
        self._http = httpx.Client(base_url=base_url, timeout=timeout_s, follow_redirects=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._http.close()

    def get(self, path: str, **query: str) -> httpx.Response:
        """Fetch anything of the wiki; an error status or PHP error text is a `WikiError`."""
        return _checked(self._http.get(path, params=query or None))

    def page(self, name: str, **query: str) -> str:
        """HTML of a wiki page."""
        return self.get("/doku.php", id=name, **query).text

    def install(self) -> None:
        """Run the installer: a wiki that everybody reads and only users write."""
        _expect("DokuWiki Installer", self.get("/install.php").text)
        form = {
            "l": "en",
            "submit": "",
            "d[title]": TITLE,
            "d[acl]": "on",
            "d[superuser]": USER,
            "d[fullname]": FULL_NAME,
            "d[email]": "ada@example.org",
            "d[password]": PASSWORD,
            "d[confirm]": PASSWORD,
            "d[policy]": "1",
            "d[license]": "cc-by-sa",
        }
        _expect(
            "The configuration was finished successfully", _checked(self._http.post("/install.php", data=form)).text
        )

    def log_in(self, password: str = PASSWORD, status: int = 200) -> str:
        """Send the login form and return the page that follows; a wrong password is expected to be a 403."""
        form = _form(self.page("start", do="login"), "dw__login")
        answer = self._http.post("/doku.php", data={**form, "u": USER, "p": password})
        return _checked(answer, status).text

    def write(self, name: str, text: str, summary: str = "") -> str:
        """Open the editor, save a text, and return the page as it is shown after."""
        form = _form(self.page(name, do="edit"), "dw__editform")
        fields = {key: value for key, value in form.items() if not key.startswith("do[")}
        fields |= {"id": name, "wikitext": text, "summary": summary, "do[save]": "1"}
        return _checked(self._http.post("/doku.php", data=fields)).text

    def source(self, name: str) -> str:
        """The text of a page as the editor shows it."""
        found = re.search(r"<textarea[^>]*>\n?(.*?)</textarea>", self.page(name, do="edit"), re.DOTALL)
        if found is None:
            raise WikiError(f"no editor for {name}")
        return html.unescape(found[1])

    def upload(self, namespace: str, name: str, content: bytes, media_type: str) -> str:
        """Upload a file as the media manager does, as a form's file; return its name in the wiki."""
        fields = {"call": "mediaupload", "ns": namespace, "mediaid": name, "sectok": self._upload_token(namespace)}
        files = {"qqfile": (name, content, media_type)}
        return _uploaded(self._http.post("/lib/exe/ajax.php", data=fields, files=files))

    def upload_body(self, namespace: str, name: str, content: bytes) -> str:
        """Upload a file as the whole request body, which PHP reads from `php://input`; return its name."""
        query = {"call": "mediaupload", "ns": namespace, "qqfile": name, "sectok": self._upload_token(namespace)}
        headers = {"Content-Type": "application/octet-stream"}
        return _uploaded(self._http.post("/lib/exe/ajax.php", params=query, content=content, headers=headers))

    def _upload_token(self, namespace: str) -> str:
        return _form(self.page("start", do="media", ns=namespace, tab_files="upload"), "dw__upload")["sectok"]


class _Fields(HTMLParser):
    """Inputs of the form with a given id."""

    def __init__(self, form_id: str) -> None:
        super().__init__()
        self.fields: dict[str, str] = {}
        self.found = False
        self._form_id = form_id
        self._inside = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        values = {key: value or "" for key, value in attrs}
        if tag == "form":
            self._inside = values.get("id") == self._form_id
            self.found |= self._inside
        elif tag in {"input", "button"} and self._inside and values.get("name"):
            if values.get("type") in {"checkbox", "radio"} and "checked" not in values:
                return
            if values.get("type") != "file":
                self.fields[values["name"]] = values.get("value", "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "form":
            self._inside = False


def _form(page: str, form_id: str) -> dict[str, str]:
    parser = _Fields(form_id)
    parser.feed(page)
    if not parser.found:
        raise WikiError(f"no form {form_id!r} in this page:\n{page[:2000]}")
    return parser.fields


def _uploaded(answer: httpx.Response) -> str:
    result = _checked(answer).json()
    if not result.get("success"):
        raise WikiError(f"upload refused: {result}")
    return str(result["id"])


def _checked(answer: httpx.Response, status: int = 200) -> httpx.Response:
    where = f"{answer.request.method} {answer.request.url}"
    if answer.status_code != status:
        raise WikiError(f"{where}: status {answer.status_code}\n{answer.text[:2000]}")
    if answer.headers.get("content-type", "").startswith("text/html"):
        if found := _PHP_ERROR.search(answer.text):
            raise WikiError(f"{where}: PHP printed: {found[0]}")
        if not answer.text.rstrip().endswith("</html>"):
            raise WikiError(f"{where}: the page ends early: ...{answer.text[-200:]!r}")
    return answer


def _expect(text: str, page: str) -> None:
    if text not in page:
        raise WikiError(f"{text!r} is missing in this page:\n{page[:4000]}")
