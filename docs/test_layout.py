"""Every built page fits phones and desks, and can be read in the light and in the dark."""

from pathlib import Path

import pytest

HTML = Path(__file__).parent / "_build" / "html"
PAGES = sorted(page.relative_to(HTML).as_posix() for page in HTML.rglob("*.html"))

# What ends to the right of the window, but in no box of its own that scrolls. The boxes of the
# theme around a whole page scroll, too, but take its text along.
TOO_WIDE = r"""
const scrolls = (box) =>
  /auto|scroll/.test(getComputedStyle(box).overflowX) && !/\bbd-/.test(box.className);
const boxed = (e) => e !== document.body && (scrolls(e) || boxed(e.parentElement));
return [...document.querySelectorAll(".bd-main *, .bd-sidebar-secondary *")]
  .filter((e) => e.checkVisibility({visibilityProperty: true}))
  .filter((e) => e.getBoundingClientRect().right > innerWidth + 0.5)
  .filter((e) => !boxed(e.parentElement))
  .map((e) => `${e.tagName} ${e.textContent.trim().slice(0, 60)}`);
"""

# Colours change without transitions.
AT_ONCE = """
const style = document.createElement("style");
style.textContent = "* { transition: none !important; }";
document.head.append(style);
"""

# Text whose contrast is below the minimum of WCAG 2 (AA): 4.5, or 3 if it is large.
TOO_FAINT = """
const canvas = document.createElement("canvas").getContext("2d", {willReadFrequently: true});
const over = (color, ground) => {
  for (const style of [`rgb(${ground})`, color]) {
    canvas.fillStyle = style;
    canvas.fillRect(0, 0, 1, 1);
  }
  return [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3);
};
const groundOf = (e) =>
  e ? over(getComputedStyle(e).backgroundColor, groundOf(e.parentElement)) : [255, 255, 255];
const luminance = (color) => color
  .map((c) => c / 255)
  .map((c) => c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4)
  .reduce((sum, c, i) => sum + c * [0.2126, 0.7152, 0.0722][i], 0);
const faint = new Set();
const texts = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
while (texts.nextNode()) {
  const e = texts.currentNode.parentElement, text = texts.currentNode.data.trim();
  if (!text || !e.checkVisibility({visibilityProperty: true})) continue;
  const style = getComputedStyle(e), size = parseFloat(style.fontSize), ground = groundOf(e);
  const least = size >= 24 || (size >= 18.66 && style.fontWeight >= 700) ? 3 : 4.5;
  const both = [over(style.color, ground), ground].map(luminance);
  const contrast = (Math.max(...both) + 0.05) / (Math.min(...both) + 0.05);
  if (contrast < least)
    faint.add(`${contrast.toFixed(2)}: ${e.tagName} ${e.className} ${text.slice(0, 60)}`);
}
return [...faint];
"""


def test_there_are_pages():
    assert "index.html" in PAGES


@pytest.mark.parametrize("page", PAGES)
def test_page(browser, page):
    browser.get((HTML / page).as_uri())
    for width in (400, 1280):
        browser.resize(width)
        assert browser.execute_script(TOO_WIDE) == []
        assert browser.execute_script("return document.body.scrollWidth <= innerWidth")
    browser.execute_script(AT_ONCE)
    for mode in ("light", "dark"):
        browser.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
        assert browser.execute_script(TOO_FAINT) == [], mode
