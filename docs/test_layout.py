"""Every built page fits phones and desks, and can be read in the light and in the dark."""

from pathlib import Path

import pytest

HTML = Path(__file__).parent / "_build" / "html"
FOUND = (page.relative_to(HTML).as_posix() for page in HTML.rglob("*.html"))
PAGES = sorted(page for page in FOUND if not page.startswith("_static/"))

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
// Each pair of colours is painted once, each ground found once: a page has thousands of texts.
const painted = new Map(), grounds = new Map([[null, [255, 255, 255]]]);
const over = (color, ground) => {
  const key = `${color} ${ground}`;
  if (!painted.has(key)) {
    for (const style of [`rgb(${ground})`, color]) {
      canvas.fillStyle = style;
      canvas.fillRect(0, 0, 1, 1);
    }
    painted.set(key, [...canvas.getImageData(0, 0, 1, 1).data].slice(0, 3));
  }
  return painted.get(key);
};
const groundOf = (e) => {
  if (!grounds.has(e))
    grounds.set(e, over(getComputedStyle(e).backgroundColor, groundOf(e.parentElement)));
  return grounds.get(e);
};
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


# What the buttons copy, by a field that they add for the moment.
COPIED = """
const copied = [];
document.execCommand = () => copied.push(document.querySelector("body > textarea").value);
const buttons = [...document.querySelectorAll(arguments[0])];
buttons.forEach((button) => button.click());
return buttons.map((button, i) => copied[i]);
"""
PYTHON = "div:is([class*=ython], .highlight-pycon, .doctest) button.copybtn"


def test_there_are_pages():
    assert "index.html" in PAGES


@pytest.fixture(scope="module", params=PAGES)
def page(browser, request):
    browser.get((HTML / request.param).as_uri())
    return browser


@pytest.mark.parametrize("width", [400, 1280])
def test_nothing_is_too_wide(page, width):
    page.resize(width)
    assert page.execute_script(TOO_WIDE) == []
    assert page.execute_script("return document.body.scrollWidth <= innerWidth")


@pytest.mark.parametrize("mode", ["light", "dark"])
def test_no_text_is_too_faint(page, mode):
    page.execute_script(AT_ONCE)
    page.execute_script("document.documentElement.dataset.theme = arguments[0]", mode)
    assert page.execute_script(TOO_FAINT) == []


def test_code_can_be_pasted(page):
    for code in page.execute_script(COPIED, PYTHON):
        assert code
        compile(code, "copied", "exec")
