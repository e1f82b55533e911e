"""The browser that shows tests the built pages."""

import shutil

import pytest
from selenium import webdriver


class Browser(webdriver.Chrome):
    """Chromium without a window, whose pages can have any width."""

    def resize(self, width, mobile=False):
        size = {"width": width, "height": 900, "deviceScaleFactor": 1, "mobile": mobile}
        self.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", size)


@pytest.fixture(scope="session")
def browser():
    options = webdriver.ChromeOptions()
    for argument in ("headless=new", "no-sandbox", "force-device-scale-factor=1"):
        options.add_argument(f"--{argument}")
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    driver = shutil.which("chromedriver")
    if driver is None:  # Selenium would search for one on the network
        pytest.fail("install Chromium and its driver, on Debian chromium and chromium-driver")
    browser = Browser(options=options, service=webdriver.ChromeService(driver))
    yield browser
    browser.quit()
