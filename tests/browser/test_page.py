"""The page as a whole: it is there soon, fits every width, speaks both languages, and takes no harm."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from playground import registry
from playground.data.sets import corpora

FAMILIES = list(registry.families())
Visit = Callable[..., Any]

# What a Korean reader sees in Latin letters because it is a name: of models, data sets, libraries, code, file kinds.
NAMES = {
    *("PCA", "VAE", "GAN", "WGAN", "GP", "KL", "EM", "EMA", "IWAE", "DDPM", "Adam", "DiffAugment", "ReLU"),
    *("MNIST", "Fashion", "CIFAR", "Olivetti", "AT", "EmojiTwo", "English", "zip", "MB", "PNG", "fp", "bf"),
    *("Hugging", "Face", "scikit", "learn", "inverse_transform", "AutoencoderKL", "DDPMPipeline", "diffusers"),
    *("UNet", "DModel", "DDIM", "DDIMPipeline", "DPM", "Solver", "SNR", "Diffusers", "ScoreSdeVePipeline"),
    *("ODE", "SDE", "RK", "VE", "VP", "sub"),
    *("hinge", "wgan", "gp", "min", "cosine", "linear", "epsilon", "paper", "ve", "vp"),
    *("DALL", "CLIP", "GPT", "LMHeadModel", "VQModel", "CLIPModel", "transformers", "generate", "aMUSEd", "amused"),
    *("top", "vq", "ema", "gumbel", "DiffusionPipeline"),
    *("HMM", "GMM", "WORLD", "MLPG", "BIC", "FastSpeech", "Conformer", "hmmlearn", "GaussianMixture", "log"),
    *("espeak", "ng", "LJ", "Speech", "Griffin", "Lim", "kHz", "Hz", "dB", "ms", "auto", "word", "phone"),
    *("VQ", "DacModel", "Descript", "kbit", "averages", "gradient", "WaveNet", "mu", "law"),
    *("full", "diagonal", "tied", "means", "all", "alike", "ann", "ben", "dan", "eve"),
    *("george", "jackson", "lucas", "nicolas", "theo", "yweweler"),
    *("ViT", "LayerNorm", "Transformers", "ViTForImageClassification", "ViTLayer", "bCR"),
}


VISIBLE = """() => {
  document.querySelectorAll('details').forEach((d) => (d.open = true));
  const found = new Set();
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const parent = walker.currentNode.parentElement;
    if (!parent || parent.closest('[lang=en]:not(html),script,style,noscript')) continue;
    if (parent.checkVisibility({ visibilityProperty: true })) found.add(walker.currentNode.textContent.trim());
  }
  for (const name of ['aria-label', 'alt', 'title', 'placeholder']) {
    for (const e of document.querySelectorAll(`[${name}]`)) if (!e.closest('[lang=en]:not(html)')) found.add(e.getAttribute(name));
  }
  return [...found];
}"""

UNNAMED = """() => [...document.querySelectorAll('#tabs :is(button, input, select, textarea, canvas, a[href], audio)')]
  .filter((e) => e.checkVisibility() && !e.closest('[aria-hidden=true]'))
  .filter((e) => !(e.getAttribute('aria-label') || e.innerText?.trim() || e.labels?.length || e.title))
  .map((e) => e.outerHTML.slice(0, 200))"""


def test_home_is_usable_soon_and_leads_to_every_family(visit: Visit, within: Any) -> None:
    visitor = visit()
    visitor.open()  # the first visit of a browser compiles; people's later ones are like the second
    visitor = visit()
    with within(4.0, "the page is usable"):
        page = visitor.open(wait="a.family")
        page.locator("a.family").first.hover()
    cards = page.locator("a.family")
    assert [tab for c in cards.all() if (tab := c.get_attribute("data-tab")) in FAMILIES] == FAMILIES
    visitor.shot("home")
    with within(1.5, "a card opens its tab"):
        cards.nth(1).click()
        page.locator(f"#monitor-{FAMILIES[1]} button").first.wait_for()
    assert f"tab={FAMILIES[1]}" in page.url


def test_every_tab_opens_soon(visit: Visit, within: Any) -> None:
    visitor = visit()
    page = visitor.open()
    for name in FAMILIES:
        family = registry.family(name)
        title, group = family.title["en"], {"image": "Image", "speech": "Speech"}[family.kind]
        page.get_by_role("tab", name=group, exact=True).click()
        with within(1.0, f"the tab of {name} opens"):
            page.get_by_role("tab", name=title, exact=True).click()
            page.locator(f"#monitor-{name} [data-action=train]").wait_for()
    for name, inside in (("Compare", "#compare select"), ("About", ".about")):
        with within(1.0, f"{name} opens"):
            page.get_by_role("tab", name=name, exact=True).click()
            page.locator(inside).first.wait_for()


def test_no_scrolling_for_what_matters_at_1366(visit: Visit) -> None:
    visitor = visit()
    for name in FAMILIES:
        page = visitor.open(f"?tab={name}", f"#monitor-{name} button")
        for what in (".intro .idea >> visible=true", f"#settings-{name} select >> nth=0", f"#monitor-{name} canvas"):
            box = page.locator(what).bounding_box()
            assert box
            assert box["y"] + box["height"] <= 768, f"{what} of {name}"
        assert page.locator(f"#made-{name}").bounding_box()["y"] < 500
        in_sight = page.locator(f"#settings-{name}, #makes-{name}").locator("select, fieldset, .number")
        assert sum(control.is_visible() for control in in_sight.all()) <= 5
        visitor.shot(f"family-{name}")


def test_the_page_is_sent_packed_and_made_for_the_address_it_is_asked_at(app: str) -> None:
    plain, packed = httpx.get(app, headers={"accept-encoding": "identity"}), httpx.get(app)
    assert packed.headers["content-encoding"] == "gzip"
    assert packed.text == plain.text
    assert packed.num_bytes_downloaded < len(plain.content) / 4
    assert "content-security-policy" in packed.headers
    elsewhere = httpx.get(app, headers={"x-forwarded-host": "example.org", "x-forwarded-proto": "https"})
    assert "https://example.org" in elsewhere.text
    assert "example.org" not in httpx.get(app).text


@pytest.mark.parametrize("width", [390, 768, 1920])
def test_nothing_scrolls_sideways(visit: Visit, width: int) -> None:
    visitor = visit(size=(width, 844))
    for tab in ("home", FAMILIES[0], FAMILIES[-1], "hum", "compare", "about"):
        page = visitor.open(f"?tab={tab}")
        page.wait_for_timeout(500)
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        page.wait_for_timeout(100)
        wide = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, f"{tab} is {wide} pixels wide"
        if tab == FAMILIES[0]:
            visitor.shot(f"width-{width}", whole=True)


def test_korean_leaves_no_english_but_names(visit: Visit) -> None:
    visitor = visit(locale="ko-KR")
    left: dict[str, list[str]] = {}
    names = NAMES | {word for name in corpora() for word in (name, name.capitalize())}
    for tab in ("home", *FAMILIES, "hum", "compare", "about"):
        page = visitor.open(f"?tab={tab}")
        page.wait_for_timeout(700)
        for text in page.evaluate(VISIBLE):
            words = [w for w in re.findall(r"[A-Za-z_]{2,}", text) if w not in names]
            if words:
                left.setdefault(tab, []).append(f"{text}: {words}")
        visitor.shot(f"ko-{tab}")
    assert left == {}


def test_english_leaves_no_korean(visit: Visit) -> None:
    visitor = visit()
    for tab in ("home", FAMILIES[0], "compare", "about"):
        page = visitor.open(f"?tab={tab}")
        page.wait_for_timeout(500)
        texts = [t for t in page.evaluate(VISIBLE) if re.search("[가-힣]", t)]
        assert texts == ["한국어"]


def test_the_language_can_be_chosen(visit: Visit) -> None:
    page = visit().open()
    page.get_by_role("button", name="한국어").click()
    page.get_by_role("tab", name="홈").wait_for()
    assert page.locator("h1").inner_text() == "생성 모델 놀이터"
    page.get_by_role("button", name="English").click()
    page.get_by_role("tab", name="Home").wait_for()


def test_dark_and_light_are_remembered(visit: Visit) -> None:
    visitor = visit(dark=True)
    page = visitor.open(f"?tab={FAMILIES[0]}")
    page.wait_for_function("document.body.classList.contains('dark')")
    visitor.shot("dark")
    page.get_by_role("button", name="Light or dark").click()
    assert not page.evaluate("document.body.classList.contains('dark')")
    page.reload()
    page.wait_for_selector("#tabs")
    page.wait_for_timeout(500)
    assert not page.evaluate("document.body.classList.contains('dark')")


def test_everything_has_a_name_for_screen_readers(visit: Visit) -> None:
    visitor = visit()
    for tab in ("home", *FAMILIES, "hum", "sketch", "compare"):
        page = visitor.open(f"?tab={tab}")
        page.wait_for_timeout(500)
        page.evaluate("document.querySelectorAll('details').forEach((d) => (d.open = true))")
        assert page.evaluate(UNNAMED) == [], tab


def test_the_keyboard_reaches_the_buttons(visit: Visit) -> None:
    name = FAMILIES[0]
    page = visit().open(f"?tab={name}", f"#monitor-{name} button")
    page.locator(f"#settings-{name} input[type=radio]").first.focus()
    page.keyboard.press("ArrowRight")
    assert page.locator(f"#settings-{name} input[type=radio]").nth(1).is_checked()
    reached = []
    for _ in range(12):
        page.keyboard.press("Tab")
        reached.append(page.evaluate("document.activeElement.dataset.action ?? document.activeElement.tagName"))
    assert {"SELECT", "SUMMARY", "train"} <= set(reached)


def test_an_error_while_the_page_is_left_is_seen(visit: Visit) -> None:
    """Only what Gradio says of its own dropped streams is left out then; other tests reload with streams open."""
    visitor = visit()
    page = visitor.open()
    page.evaluate("addEventListener('beforeunload', () => console.error('Unexpected error', 'of ours'))")
    page.evaluate("addEventListener('beforeunload', () => console.error(new TypeError('of ours too')))")
    page.reload()
    page.wait_for_selector("#tabs")
    assert [error.split("\n")[0] for error in visitor.errors] == ["Unexpected error of ours", "TypeError: of ours too"]
    visitor.errors.clear()


HOSTILE = (
    "?tab=nothing&seed=abc",
    "?tab=" + "x" * 3000,
    "?tab=%3Cscript%3Ealert(1)%3C/script%3E&view=%22onload=alert(1)",
    f"?tab={FAMILIES[0]}&view=generate&n=1e99&seed=-1&label=zzz",
    f"?tab={FAMILIES[0]}&view=nope&checkpoint=shipped:../../etc/passwd",
    f"?tab={FAMILIES[0]}&checkpoint=run:..%2F..&recipe.steps=NaN&config.__class__=1&preset=none&data=../x",
    "?tab=compare&family=constructor&seed=__proto__",
    "?tab=home&tab=about&__proto__[x]=1&run=" + "A" * 22,
)


@pytest.mark.parametrize("query", HOSTILE)
def test_bad_addresses_do_no_harm(visit: Visit, query: str) -> None:
    visitor = visit()
    page = visitor.open(query)
    page.wait_for_timeout(600)
    page.get_by_role("tab", name="Home").click()
    page.locator("a.family").first.wait_for()
    assert page.evaluate("({}).x") is None


def test_a_link_to_a_run_that_is_gone_says_so(visit: Visit) -> None:
    name = FAMILIES[0]
    visitor = visit()
    page = visitor.open(f"?tab={name}&run={'A' * 22}", f"#monitor-{name} button")
    page.locator(f"#monitor-{name} .message").filter(has_text="no such run").wait_for()
    assert page.locator(f"#monitor-{name} [data-action=train]").is_enabled()
