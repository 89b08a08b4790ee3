"""The page in a real Chromium: what is shown, what is dragged, and that no input is ever HTML."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from typing import Any

import pytest
from playwright.sync_api import Browser, Page, sync_playwright
from tests.builders import EXAMPLES
from tests.serve.service import listening, make_judge, make_reader, make_service

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium on this machine")
TEXT = EXAMPLES[0].sentence


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    with listening(make_service(make_reader(make_judge()), max_characters=200)) as address:
        yield address


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=CHROMIUM, args=["--no-sandbox", "--disable-gpu"]
        )
        yield browser
        browser.close()


@pytest.fixture
def page(browser: Browser, address: str) -> Iterator[Page]:
    context = browser.new_context(locale="ko-KR", viewport={"width": 1000, "height": 800})
    page = context.new_page()
    complaints: list[Any] = []
    asked: list[str] = []
    page.on("pageerror", lambda error: complaints.append(error))
    page.on("console", lambda message: complaints.append(message.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.on("request", lambda request: asked.append(request.url))
    page.goto(address)
    yield page
    # A refused request is written to the console by the browser itself.
    assert [one for one in complaints if "Failed to load resource" not in str(one)] == []
    assert all(url.startswith(address) for url in asked)  # nothing but the service is asked
    context.close()


def read(page: Page, text: str) -> None:
    page.fill("#text", text)
    page.press("#text", "Control+Enter")
    page.wait_for_selector("#read:not([disabled])")


def test_entities_triples_and_graph_are_shown(page: Page) -> None:
    read(page, TEXT)
    marked = page.locator("#marked mark")
    assert marked.count() > 1
    texts = [str(one.evaluate("node => node.firstChild.data")) for one in marked.all()]
    assert all(word in TEXT for word in texts)
    assert page.locator("#rows tr").count() > 0
    assert page.locator("#graph .node").count() > 1
    assert page.locator("#emotions li").count() == 2


def test_the_threshold_leaves_out_what_is_less_probable(page: Page) -> None:
    read(page, TEXT)
    shown = [float(one) for one in page.locator("#rows td.number").all_inner_texts()]
    assert shown == sorted(shown, reverse=True)
    page.focus("#threshold")
    page.keyboard.press("End")  # 1.00
    assert page.locator("#rows tr").count() == sum(one == 1.0 for one in shown)
    assert page.locator("#graph .node").count() == 0
    page.keyboard.press("Home")
    assert page.locator("#rows tr").count() == len(shown)


def test_a_node_follows_the_mouse_and_the_arrow_keys(page: Page) -> None:
    read(page, TEXT)
    node = page.locator("#graph .node").first
    node.scroll_into_view_if_needed()
    before = node.locator("circle").bounding_box()
    assert before is not None
    x, y = before["x"] + before["width"] / 2, before["y"] + before["height"] / 2
    page.mouse.move(x, y)
    page.mouse.down()
    to_x = x + (60 if x < 500 else -60)
    page.mouse.move(to_x, y, steps=4)
    page.mouse.up()
    after = node.locator("circle").bounding_box()
    assert after is not None
    assert after["x"] - before["x"] == pytest.approx(to_x - x, abs=2)
    transform = node.get_attribute("transform")
    node.focus()
    page.keyboard.press("ArrowLeft" if to_x > 500 else "ArrowRight")
    assert node.get_attribute("transform") != transform


@pytest.mark.parametrize(
    "text",
    [
        '<img src=x onerror="alert(1)"> 비틀즈',
        "<script>alert(2)</script>",
        "</textarea><svg/onload=alert(3)> 조지 해리슨 & 비틀즈",
        "\U0001f600 비틀즈 \u202e 가나다",
    ],
)
def test_no_input_is_html(page: Page, text: str) -> None:
    read(page, text)
    shown = page.locator("#marked").evaluate(
        "node => { const copy = node.cloneNode(true);"
        "copy.querySelectorAll('small').forEach(one => one.remove()); return copy.textContent }"
    )
    assert shown == text  # to the character; the fixture sees scripts that ran
    assert page.locator("#marked img, #marked script, #marked svg").count() == 0


def test_both_languages_and_faults_of_the_service(page: Page) -> None:
    assert page.inner_text("#read") == "관계 추출"
    page.click("#language")
    assert page.inner_text("#read") == "Extract"
    assert page.get_attribute("html", "lang") == "en"
    read(page, "가" * 201)
    assert "201 characters; at most 200" in page.inner_text("#status")
    read(page, " ")
    assert page.inner_text("#status") == "Enter a text."


def test_examples_are_read_by_a_click_and_nothing_is_wider_than_a_phone(page: Page) -> None:
    page.set_viewport_size({"width": 360, "height": 700})
    page.locator("#examples button").first.click()
    page.wait_for_selector("#results:not([hidden])")
    assert page.input_value("#text") == page.locator("#examples button").first.get_attribute(
        "title"
    )
    assert page.evaluate("document.documentElement.scrollWidth") <= 360
