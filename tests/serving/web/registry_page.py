"""A headless Chromium, and a model's page in MLflow's UI as a person uses it."""

import contextlib
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from service_process import wait_until

MISSING = "{} is not on the PATH; on Debian: apt-get install chromium chromium-driver"
SWITCHES = (
    "--headless",
    "--no-sandbox",  # containers and root have none
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--hide-scrollbars",
    "--window-size=1280,800",
)
SECONDS = 60
ASSISTANT = "//button[@data-component-id='mlflow.assistant.chat_panel.close']"
ROW = "//*[@data-testid='model-version-table']//*[@role='row'][.//a[normalize-space()='Version {}']]"
EDIT = ROW + "//button[contains(@data-component-id, 'aliases')]"
ALIAS = ROW + "//*[contains(@data-component-id, 'aliastag')][contains(., '{}')]"
FIELD = "//*[@role='dialog']//input[@role='combobox']"
CHOSEN = "//*[@role='dialog']//*[contains(@data-component-id, 'aliastag')][contains(., '{}')]"
SAVE = "//*[@role='dialog']//button[normalize-space()='Save aliases']"


@contextmanager
def chromium(profile: Path) -> Iterator[Any]:
    """A browser with an empty profile; the test is skipped where there is none."""
    webdriver = pytest.importorskip("selenium.webdriver", reason="selenium is missing: make test-browser")
    program, driver = shutil.which("chromium"), shutil.which("chromedriver")
    for name, found in (("chromium", program), ("chromedriver", driver)):
        if found is None:
            pytest.skip(MISSING.format(name))
    options = webdriver.ChromeOptions()
    options.binary_location = program
    for switch in (*SWITCHES, f"--user-data-dir={profile}"):
        options.add_argument(switch)
    browser = webdriver.Chrome(options=options, service=webdriver.ChromeService(driver))
    try:
        yield browser
    finally:
        browser.quit()


class ModelPage:
    """The page of a registered model, with its table of versions.

    Args:
        browser: Shows it.
        server: Address of MLflow's server.
        model: Name of the model.
        pictures: Where pictures of it are put.
    """

    def __init__(self, browser: Any, server: str, model: str, pictures: Path) -> None:
        self._browser, self._pictures = browser, pictures
        browser.get(f"{server}/#/models/{model}")
        self._wait_for_table()

    def has(self, version: int, alias: str) -> bool:
        """Whether the table shows an alias at a version."""
        return bool(self._found(ALIAS.format(version, alias)))

    def add_alias(self, version: int, alias: str, picture: str | None = None) -> None:
        """Adds an alias to a version by clicking and typing, and reloads: the table shows the old places."""
        self._click(EDIT.format(version))
        field = self._wait(FIELD)
        field.click()
        field.send_keys(alias + "\n")
        self._wait(CHOSEN.format(alias))
        if picture:
            self.take(picture)
        self._click(SAVE)
        wait_until(lambda: not self._found(SAVE), SECONDS, "the dialog closes")
        self._browser.refresh()
        self._wait_for_table()

    def take(self, name: str) -> None:
        """Takes a picture of the page."""
        self._pictures.mkdir(parents=True, exist_ok=True)
        assert self._browser.save_screenshot(str(self._pictures / f"{name}.png"))

    def _wait_for_table(self) -> None:
        self._wait(ROW.format(1))
        if self._found(ASSISTANT):  # lies beside the table
            self._click(ASSISTANT)

    def _found(self, path: str) -> list[Any]:
        from selenium.common.exceptions import StaleElementReferenceException

        shown = []
        for one in self._browser.find_elements("xpath", path):
            with contextlib.suppress(StaleElementReferenceException):  # it went away meanwhile
                shown += [one] if one.is_displayed() else []
        return shown

    def _wait(self, path: str) -> Any:
        return wait_until(lambda: self._found(path), SECONDS, path)[0]

    def _click(self, path: str) -> None:
        self._wait(path).click()
