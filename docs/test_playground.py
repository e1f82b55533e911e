"""The playground of the built pages computes and shows what the library does."""

import itertools
import json
import re
import time
from pathlib import Path

import numpy as np
import pytest
from selenium.webdriver.common.action_chains import ActionChains
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys

from sklkl.divergences import (
    cross_entropy,
    entropy,
    jeffreys_divergence,
    jensen_shannon_divergence,
    kl_contributions,
    kl_divergence,
)

PAGE = Path(__file__).parent / "_build" / "html" / "playground.html"
BASES = {"bits": 2, "nats": None}
LIBRARY = {
    "kl": kl_divergence,
    "reverse": lambda p, q, base: kl_divergence(q, p, base=base),
    "jeffreys": jeffreys_divergence,
    "js": jensen_shannon_divergence,
    "cross": cross_entropy,
    "hp": lambda p, q, base: entropy(p, base=base),
    "hq": lambda p, q, base: entropy(q, base=base),
}


@pytest.fixture
def page(browser):
    """The page with two coins; afterwards, nothing must have gone wrong in it."""
    browser.resize(1280)
    load(browser)
    browser.get_log("browser")
    yield browser
    assert [e for e in browser.get_log("browser") if e["level"] == "SEVERE"] == []


def load(browser, fragment=""):
    browser.get("about:blank")
    browser.get(PAGE.as_uri() + fragment)


def find(page, selector):
    return page.find_elements(By.CSS_SELECTOR, f".pg {selector}")


def click(page, button):
    page.execute_script("arguments[0].scrollIntoView({block: 'center'})", button)
    button.click()


def press(page, label):
    [button] = [b for b in find(page, "button") if b.text == label]
    click(page, button)


def bars(page, row):
    return find(page, f".pg-{row} [role=slider]")


def rows(page):
    """The two rows as the sliders tell them."""
    return [
        [float(x) for x in row]
        for row in page.execute_script(
            "return ['p', 'q'].map((row) => [...document.querySelectorAll("
            "`.pg-${row} [role=slider]`)]"
            ".map((bar) => bar.getAttribute('aria-valuenow')))"
        )
    ]


def number(text):
    return float(text.replace("−", "-").replace("∞", "inf"))


def close(shown, value):
    """Is this text the number, to three decimals or, if small, three digits?"""
    error = 5.01e-4 if abs(value) > 0.0099 else 5.01e-3 * abs(value)
    return number(shown) == pytest.approx(value, rel=0, abs=error)


def check(page):
    """All that is shown is what the library says of the rows; return the rows."""
    p, q = rows(page)
    assert sum(p) == pytest.approx(1, rel=1e-14)
    assert sum(q) == pytest.approx(1, rel=1e-14)
    unit = next(r for r in find(page, ".pg-units input") if r.is_selected())
    base = BASES[unit.get_attribute("value")]
    for key, function in LIBRARY.items():
        [value] = find(page, f"[data-key={key}]")
        expected = function(p, q, base=base)
        assert float(value.get_property("value").replace("inity", "")) == pytest.approx(
            expected, rel=1e-12, abs=0
        )
        assert close(value.text, expected)
    cells = page.execute_script(
        "return [...document.querySelectorAll('.pg tbody tr')]"
        ".map((row) => [...row.querySelectorAll('td')].map((cell) => cell.textContent))"
    )
    for j, contribution in enumerate(kl_contributions(p, q, base=base)):
        assert close(cells[j][0], p[j])
        assert close(cells[j][1], q[j])
        assert close(cells[j][2], contribution)
    fields = page.execute_script(
        "return ['p', 'q'].map((row) => [...document.querySelectorAll(`.pg-${row} input`)]"
        ".map((field) => field.value))"
    )
    np.testing.assert_allclose(np.array(fields, float), [p, q], rtol=6e-4)
    return p, q


def pairs():
    rng = np.random.default_rng(0)
    yield [0.5, 0.5], [0.9, 0.1]
    yield [1.0, 0.0, 0.0], [0.7, 0.2, 0.1]
    yield [1 - 1e-12, 1e-12], [1 - 2e-9, 2e-9]
    for k in [*range(2, 13)] * 3:
        p, q, noise = rng.dirichlet(np.ones(k)), rng.dirichlet(np.ones(k)), rng.normal(size=k)
        some = rng.permutation(k)[: k // 2]
        yield p, q
        yield p, p
        yield np.eye(k)[0], q
        for size in 10.0 ** -np.arange(1, 10):
            near = p * (1 + size * noise / np.abs(noise).max())
            yield p, near / near.sum()
        yield p * 10.0 ** rng.uniform(-300, 0, k), q * 10.0 ** rng.uniform(-300, 0, k)
        yield p, np.where(np.isin(np.arange(k), some), 0, q)
        yield np.where(np.isin(np.arange(k), some), 0, p), q


def test_arithmetic(page):
    cases = [[(row / np.sum(row)).tolist() for row in pair] for pair in pairs()]
    for base in BASES.values():
        text = page.execute_script(
            """const [pairs, base] = arguments;
            return JSON.stringify(
              pairs.map(([p, q]) => sklkl.evaluate(p, q, base ?? undefined)),
              (key, x) => (typeof x === "number" ? String(x) : x));""",
            cases,
            base,
        )
        for (p, q), result in zip(cases, json.loads(text), strict=True):
            expected = [function(p, q, base=base) for function in LIBRARY.values()]
            actual = [float(result[key]["value"]) for key in LIBRARY]
            for key, r in result.items():
                parts = np.array(r["parts"], float)
                # The parts of near-equal rows cancel down to their rounding.
                np.testing.assert_allclose(
                    parts.sum(), float(r["value"]), rtol=1e-12, atol=1e-15, err_msg=key
                )
            expected += kl_contributions(p, q, base=base).tolist()
            expected += kl_contributions(q, p, base=base).tolist()
            actual += [float(x) for key in ("kl", "reverse") for x in result[key]["parts"]]
            np.testing.assert_allclose(actual, expected, rtol=1e-12, atol=0)


def test_two_coins(page):
    assert check(page) == ([0.5, 0.5], [0.9, 0.1])
    drawn = [value.text for value in find(page, ".pg-part data")]
    assert drawn == ["−0.424", "+1.161"]
    assert find(page, "[data-key=kl]")[0].text == "0.737"
    assert "1.737 = 1.000 + 0.737 bits" in find(page, ".pg-identity")[0].text
    left, right = (bar.rect for bar in find(page, ".pg-part-bar"))
    assert left["x"] + left["width"] == pytest.approx(right["x"], abs=1)


def test_presets(page):
    values = {}
    for preset in find(page, "[aria-label=Presets] button"):
        preset.click()
        check(page)
        values[preset.text] = [
            number(find(page, f"[data-key={key}]")[0].text) for key in ("kl", "reverse")
        ]
        notes = find(page, ".pg-notes")[0].text
        assert ("∞" in notes) == (np.inf in values[preset.text])
        assert ("plain sum" in notes) == (preset.text == "Near-equal rows")
        if "∞" in notes:
            assert "P gives dog and fox probability 0" in notes
    covered, chosen = values["Two modes, covered"], values["Two modes, one chosen"]
    assert covered[0] < chosen[0]
    assert covered[1] > chosen[1]
    assert chosen[1] == pytest.approx(1, abs=0.2)


def test_mouse(page):
    press(page, "One-hot truth")
    bar = bars(page, "q")[0]

    def drag(*offsets):
        actions = ActionChains(page, duration=20).move_to_element(bar).click_and_hold()
        for x in offsets:
            actions.move_by_offset(x, 0)
        actions.release().perform()

    drag()
    p, q = check(page)
    assert p == [1, 0, 0]
    assert q[0] == pytest.approx(0.5, abs=0.01)
    assert q[1] == pytest.approx(2 * q[2])
    drag(300, 300)  # beyond the end
    assert check(page)[1] == [1, 0, 0]
    drag(600, -600)
    assert check(page) == (p, q)  # the others have kept their proportions
    ActionChains(page, duration=20).move_by_offset(20, 0).perform()
    assert rows(page) == [p, q]


def touch(page, kind, *places):
    for points in [[{"x": x, "y": y}] for x, y in places] or [[]]:
        page.execute_cdp_cmd("Input.dispatchTouchEvent", {"type": kind, "touchPoints": points})


def test_touch(page):
    page.resize(390, mobile=True)
    page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": True})
    try:
        bar = bars(page, "p")[1]
        page.execute_script("arguments[0].scrollIntoView({block: 'center'})", bar)
        box = page.execute_script("return arguments[0].getBoundingClientRect().toJSON()", bar)
        x, y = box["x"], box["y"] + box["height"] / 2
        touch(page, "touchStart", (x + box["width"] / 2, y))
        touch(page, "touchMove", *((x + box["width"] * s, y) for s in (0.6, 0.7, 0.8)))
        touch(page, "touchEnd")
        p, q = check(page)
        assert p[1] == pytest.approx(0.8, abs=0.02)
        # A finger that moves up or down scrolls and leaves the rows alone.
        start = page.execute_script("return scrollY")
        touch(page, "touchStart", (x + box["width"] / 4, y))
        touch(page, "touchMove", *((x + box["width"] / 4, y - d) for d in (30, 60, 90, 120)))
        touch(page, "touchEnd")
        assert rows(page) == [p, q]
        assert page.execute_script("return scrollY") > start
    finally:
        page.execute_cdp_cmd("Emulation.setTouchEmulationEnabled", {"enabled": False})


def test_typing(page):
    field = find(page, ".pg-p input")[0]
    for text, p in (("0.25", 0.25), ("1e-3", 1e-3), (",125", 0.125), ("1", 1), ("0", 0)):
        field.send_keys(Keys.CONTROL, "a", Keys.NULL, text, Keys.ENTER)
        assert rows(page)[0] == pytest.approx([p, 1 - p], rel=1e-15)
    find(page, ".pg-q input")[1].click()
    check(page)
    for text in ("2", "-1", "abc", "nan"):
        field.send_keys(Keys.CONTROL, "a", Keys.NULL, text, Keys.ENTER)
        assert field.get_attribute("aria-invalid") == "true"
        assert "number from 0 to 1" in find(page, "[role=alert]")[0].text
    find(page, ".pg-q input")[1].click()
    check(page)
    assert rows(page)[0] == [0, 1]
    assert "heads" in find(page, ".pg-notes")[0].text


KEYS = [
    (Keys.ARROW_RIGHT, 0.51), (Keys.ARROW_UP, 0.52), (Keys.ARROW_LEFT, 0.51),
    (Keys.ARROW_DOWN, 0.5), (Keys.PAGE_UP, 0.6), (Keys.PAGE_DOWN, 0.5), (Keys.END, 1),
    (Keys.HOME, 0), (Keys.PAGE_UP, 0.1),
]  # fmt: skip
REACHED = {
    "One-hot truth", "Near-equal rows", "Name of outcome 1", "P, heads", "P, tails",
    "P, heads, as a number", "Q, heads", "Remove heads", "Swap P and Q", "Make Q uniform",
    "Copy link", "bits", "kl",
}  # fmt: skip


def test_keyboard_alone(page):
    """Tab reaches every bar, field and button; keys change them."""

    def send(*keys):
        ActionChains(page, duration=0).send_keys(*keys).perform()

    page.execute_script(
        "const first = document.querySelector('.pg button'); first.focus(); first.blur();"
    )
    reached = set()
    for _ in range(40):
        send(Keys.TAB)
        active = page.switch_to.active_element
        name = active.get_attribute("aria-label") or active.text
        name = name or active.get_attribute("value")
        reached.add(name)
        if name == "P, heads":
            for key, value in KEYS:
                send(key)
                assert rows(page)[0] == pytest.approx([value, 1 - value])
            assert active.value_of_css_property("outline-style") == "solid"
        elif name == "Q, tails, as a number":
            send("0.75")
            assert rows(page)[1] == [0.25, 0.75]
        elif name == "bits":
            send(Keys.ARROW_RIGHT)
        elif name == "kl":
            send(Keys.ARROW_DOWN)
            break
    assert reached >= REACHED
    assert check(page) == (pytest.approx([0.1, 0.9]), [0.25, 0.75])
    assert find(page, ".pg-units input")[1].is_selected()
    assert "D(Q‖P)" in find(page, ".pg-title")[0].text


def test_outcomes(page):
    for k in range(3, 15):
        press(page, "Add outcome")
        assert len(bars(page, "p")) == min(k, 12)
    check(page)
    bars(page, "p")[11].send_keys(Keys.PAGE_UP)
    assert "Q gives outcome 12 probability 0" in find(page, ".pg-notes")[0].text
    press(page, "Make Q uniform")
    assert check(page)[1] == [1 / 12] * 12
    for _ in range(13):
        click(page, find(page, ".pg-remove")[0])
    assert len(bars(page, "p")) == 2
    p, q = check(page)
    press(page, "Swap P and Q")
    assert check(page) == (q, p)
    press(page, "Make P uniform")
    assert check(page)[0] == [0.5, 0.5]


def wait_for_address(page, text):
    deadline = time.monotonic() + 5
    while text not in page.current_url:
        assert time.monotonic() < deadline, page.current_url
        time.sleep(0.05)


def test_address(page):
    rng = np.random.default_rng(1)
    p, q = rng.dirichlet(np.ones(5)).tolist(), [0.0, 1e-300, 1e-9, 0.3, 0.7 - 1e-9]
    fragment = f"#p={','.join(map(repr, p))}&q={','.join(map(repr, q))}"
    load(page, f"{fragment}&names=a%2Cb,%E2%82%AC&unit=nats&show=js")
    assert check(page) == (p, q)
    assert [n.get_property("value") for n in find(page, ".pg-name")][:3] == ["a,b", "€", ""]
    bars(page, "p")[0].send_keys(Keys.HOME)
    edited = check(page)
    wait_for_address(page, "#p=0,")
    for part in ("names=a%2Cb,%E2%82%AC", "unit=nats", "show=js"):
        assert part in page.current_url
    load(page, page.current_url[page.current_url.index("#") :])
    assert check(page) == edited
    press(page, "Two coins")
    assert rows(page) == [[0.5, 0.5], [0.9, 0.1]]
    page.back()
    wait_for_address(page, "#p=0,")
    assert check(page) == edited
    page.execute_script("location.hash = '#p=0.25,0.75&q=1,0'")
    wait_for_address(page, "0.25")
    assert check(page) == ([0.25, 0.75], [1, 0])
    page.execute_script("location.hash = '#main-content'")  # a link to skip the navigation
    wait_for_address(page, "#p=0.25,0.75")
    load(page, "#p=0.25%2C0.75&q=0.9%2C0.1")  # as other programs quote it
    assert check(page) == ([0.25, 0.75], [0.9, 0.1])


def test_no_note_on_the_plain_sum_where_nothing_cancels(page):
    for fragment in (
        "#p=0.2,0.3,0.5&q=0.200001,0.299998,0.500001",  # enough digits are left
        "#p=0.3333333333,0.3333333333,0.3333333333&q=0.333,0.333,0.334",  # sums below 1
        "#p=1e-310,1&q=1,1e-310",  # a quotient overflows
    ):
        load(page, fragment)
        assert "plain sum" not in find(page, ".pg-notes")[0].text


@pytest.mark.parametrize(
    ("fragment", "reason"),
    [
        ("#p=0.5,0.4&q=0.5,0.5", "P sums to 0.9"),
        ("#p=0.5,0.5", "Q is missing"),
        ("#p=1&q=1", "1 outcomes"),
        ("#p=0.5,0.5&q=0.5,abc", "“abc”"),
        ("#p=0.5,0.5&q=1.5,-0.5", "“-0.5”"),
        ("#p=0.5,0.5&q=0.5,0.25,0.25", "Q has 3"),
        ("#p=0.5,0.5&q=0.5,0.5&names=%E2%82", "malformed"),
        ("#p=0.5,0.5&q=0.5,0.5&unit=toString", "toString"),
        (f"#p={','.join(['0'] * 12)},1&q=1,0", "13 outcomes"),
    ],
)
def test_bad_address(page, fragment, reason):
    load(page, fragment)
    message = find(page, "[role=alert]")[0].text
    assert "could not be read" in message
    assert reason in message
    assert check(page) == ([0.5, 0.5], [0.9, 0.1])


def test_copy_link(page):
    page.execute_script("Object.defineProperty(navigator, 'clipboard', {value: undefined})")
    press(page, "Copy link")
    [link] = find(page, ".pg-link")
    assert link.is_displayed()
    assert link.get_property("value") == page.current_url
    assert "p=0.5,0.5&q=0.9,0.1" in page.current_url


def test_summary_for_screen_readers_waits(page):
    for _ in range(5):
        bars(page, "p")[0].send_keys(Keys.ARROW_RIGHT)
    assert "0.737" not in find(page, ".pg-speech")[0].get_property("textContent")
    time.sleep(1.3)
    text = find(page, ".pg-speech")[0].get_property("textContent")
    assert f"Forward KL {find(page, '[data-key=kl]')[0].text} bits" in text


CONTRAST = """
const luminance = (colour) => {
  const [r, g, b] = colour.match(/[\\d.]+/g).slice(0, 3).map((x) => {
    const c = x / 255;
    return c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const background = (node) => {
  for (; node; node = node.parentElement) {
    const { backgroundColor } = getComputedStyle(node);
    if (!/, 0\\)$|transparent/.test(backgroundColor)) return backgroundColor;
  }
  return "rgb(255, 255, 255)";
};
return [...document.querySelectorAll(".pg *")]
  .filter((node) => node.value !== undefined || [...node.childNodes].some(
    (child) => child.nodeType === 3 && child.textContent.trim()))
  .map((node) => {
    const pair = [getComputedStyle(node).color, background(node)].map(luminance);
    return [(Math.max(...pair) + 0.05) / (Math.min(...pair) + 0.05),
      `${node.tagName} ${node.className} ${node.textContent}`];
  });
"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_contrast(page, theme):
    page.execute_script("document.documentElement.dataset.theme = arguments[0]", theme)
    time.sleep(0.5)  # the theme fades
    found = page.execute_script(CONTRAST)
    assert len(found) > 60
    assert [what for ratio, what in found if ratio < 4.5] == []


TWELVE = f"#p={','.join(['0.05'] * 10)},0.25,0.25&q={','.join(['0.08'] * 10)},0.2,0"


@pytest.mark.parametrize("width", [320, 768, 1280])
def test_layout(page, width):
    page.resize(width)
    load(page, f"{TWELVE}&names=a%20name%20of%20many%20letters")
    widths = (
        "return [document.documentElement.scrollWidth, document.documentElement.clientWidth]"
    )
    needed, given = page.execute_script(widths)
    assert needed <= given
    boxes = page.execute_script(
        "return [...document.querySelectorAll('.pg button, .pg label, .pg input[type=text], "
        ".pg [role=slider]')].filter((node) => !node.hidden)"
        ".map((node) => node.getBoundingClientRect().toJSON())"
    )
    assert len(boxes) > 12 * 6
    for box in boxes:
        assert min(box["width"], box["height"]) >= 24
        assert box["left"] >= 0
        assert box["right"] <= width
    for a, b in itertools.combinations(boxes, 2):
        apart = max(a["left"], b["left"]) >= min(a["right"], b["right"]) - 0.5
        assert apart or max(a["top"], b["top"]) >= min(a["bottom"], b["bottom"]) - 0.5


def test_nothing_comes_from_a_network(page):
    loaded = page.execute_script(
        "return performance.getEntriesByType('resource').map((entry) => entry.name)"
    )
    assert [name for name in loaded if not re.match("(file|data|blob):", name)] == []
