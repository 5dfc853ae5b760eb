"""DokuWiki in a real browser: scripts, styles and requests in the background work, and the console stays clean."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import pytest
from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support import expected_conditions as expected
from selenium.webdriver.support.ui import WebDriverWait

from apps import dokuwiki
from apps.dokuwiki_client import FULL_NAME, PASSWORD, USER, Wiki
from apps.serving import serving

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from selenium.webdriver.remote.webelement import WebElement

BROWSER = shutil.which("chromium")
DRIVER = shutil.which("chromedriver")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.network,
    pytest.mark.slow,
    pytest.mark.timeout(180),
    pytest.mark.skipif(
        BROWSER is None or DRIVER is None, reason="no Chromium: apt-get install chromium chromium-driver"
    ),
]

_FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-dev-shm-usage",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--window-size=1400,1000",
)


@pytest.fixture
def wiki(tmp_path: Path) -> Iterator[str]:
    root = dokuwiki.install(tmp_path / "app")
    with serving(root, tmp_path / "server.log", php_ini={"display_errors": "1"}) as served:
        with Wiki(served.url) as visitor:
            visitor.install()
        yield served.url


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[webdriver.Chrome]:
    options = webdriver.ChromeOptions()
    options.binary_location = BROWSER or ""
    for flag in (*_FLAGS, f"--user-data-dir={tmp_path / 'profile'}"):
        options.add_argument(flag)
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = webdriver.Chrome(options=options, service=webdriver.ChromeService(executable_path=DRIVER))
    driver.set_page_load_timeout(60)
    try:
        yield driver
    finally:
        driver.quit()


def test_wiki_is_used_in_a_browser_with_a_clean_console(wiki: str, browser: webdriver.Chrome, tmp_path: Path) -> None:
    _log_in(browser, wiki)
    _write_page(browser, wiki)
    _look_up_page(browser, wiki)
    _upload_picture(browser, wiki, tmp_path)
    console = browser.get_log("browser")  # type: ignore[no-untyped-call]
    assert not [entry for entry in console if entry["level"] in {"SEVERE", "WARNING"}], console


def _wait(browser: webdriver.Chrome, by: str, what: str) -> WebElement:
    return WebDriverWait(browser, 20).until(expected.visibility_of_element_located((by, what)))


def _log_in(browser: webdriver.Chrome, wiki: str) -> None:
    browser.get(f"{wiki}/doku.php?id=start&do=login")
    _wait(browser, By.NAME, "u").send_keys(USER)
    browser.find_element(By.NAME, "p").send_keys(PASSWORD)
    browser.find_element(By.CSS_SELECTOR, "#dw__login button[type=submit]").click()
    assert FULL_NAME in _wait(browser, By.CSS_SELECTOR, "li.user").text


def _write_page(browser: webdriver.Chrome, wiki: str) -> None:
    browser.get(f"{wiki}/doku.php?id=browser:page&do=edit")
    editor = _wait(browser, By.ID, "wiki__text")
    editor.send_keys("====== Written in a browser ======\n\n")
    # the toolbar is made by DokuWiki's own script
    _wait(browser, By.CSS_SELECTOR, "#tool__bar button[title^=Bold]").click()
    editor.send_keys("emphatic")
    _wait(browser, By.ID, "edbtn__preview").click()
    preview = _wait(browser, By.CSS_SELECTOR, "#preview strong, .preview strong")
    assert "emphatic" in preview.text
    save = _wait(browser, By.ID, "edbtn__save")
    save.send_keys(Keys.ENTER)  # the page still scrolls to the preview, so a click may miss the button
    WebDriverWait(browser, 20).until(expected.staleness_of(save))
    assert "Written in a browser" in _wait(browser, By.ID, "written_in_a_browser").text
    assert "emphatic" in _wait(browser, By.CSS_SELECTOR, "#dokuwiki__content .page strong").text
    assert browser.execute_script("return document.styleSheets[0].cssRules.length") > 10
    assert browser.execute_script("return jQuery.fn.jquery").startswith("3.")


def _look_up_page(browser: webdriver.Chrome, wiki: str) -> None:
    """Quick search: results come by a request in the background while one types."""
    browser.get(f"{wiki}/doku.php?id=start")
    _wait(browser, By.ID, "qsearch__in").send_keys("page")
    assert "page" in _wait(browser, By.CSS_SELECTOR, "#qsearch__out a").text


def _upload_picture(browser: webdriver.Chrome, wiki: str, tmp_path: Path) -> None:
    picture = tmp_path / "sent.png"
    browser.save_screenshot(str(picture))
    browser.get(f"{wiki}/doku.php?id=start&do=media&ns=browser&tab_files=upload")
    WebDriverWait(browser, 20).until(
        expected.presence_of_element_located((By.CSS_SELECTOR, ".qq-uploader input[type=file]"))
    ).send_keys(str(picture))
    _wait(browser, By.ID, "mediamanager__upload_button").click()
    _wait(browser, By.CSS_SELECTOR, ".qq-upload-success")
    with Wiki(wiki) as visitor:
        stored = visitor.get("/lib/exe/fetch.php", media="browser:sent.png")
    assert stored.content == picture.read_bytes()
