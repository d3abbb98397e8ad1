"""Home: a card for each family. And About: what this is, and where things come from."""

from __future__ import annotations

import html
from typing import Any

from playground import registry
from playground.contract import Family
from playground.ui import guard
from playground.ui.words import WORDS, both, t


def home_html() -> str:
    """The cards, the families in their order."""
    kinds = []
    for kind in ("image", "speech"):
        cards = "".join(_card(f) for f in registry.families().values() if f.kind == kind)
        if cards:
            kinds.append(f'<h2>{both(t(kind))}</h2><div class="cards">{cards}</div>')
    return f'<div class="home"><p class="lead">{both(t("lead"))}</p>{"".join(kinds)}</div>'


def _card(family: Family) -> str:
    """The whole card is a link: the address alone opens the tab, so it can be kept or opened aside."""
    if guard.preview_of(family.name):
        picture = f'<img loading="lazy" alt="" src="preview/{family.name}.png">'
    else:
        picture = f'<p class="empty">{both(t("no picture"))}</p>'
    title = both(family.title)
    card = (
        f'<a class="card family" href="?tab={family.name}" data-tab="{family.name}">'
        f'<span class="picture">{picture}</span><span class="words"><strong>{title}</strong>'
        f"<span>{both(family.idea)}</span></span></a>"
    )
    if guard.preview_of(family.name, ".wav") is None:
        return card
    button = (
        f'<button type="button" class="quiet play" data-play="preview/{family.name}.wav">{both(t("play"))}</button>'
    )
    return f'<div class="heard">{card}{button}</div>'


def header_html() -> str:
    """The title, and the switches of language and theme."""
    languages = "".join(
        f'<button type="button" class="quiet" data-language="{code}" lang="{code}">{name}</button>'
        for code, name in (("en", "English"), ("ko", "한국어"))
    )
    theme = both({"en": "Light or dark", "ko": "밝게 / 어둡게"})
    return (
        f'<div class="top"><h1>{both(t("title"))}</h1><div class="switches">{languages}'
        f'<button type="button" class="quiet" data-theme-switch>{theme}</button></div></div>'
    )


ABOUT = (
    (
        {"en": "What this is", "ko": "무엇인가요"},
        {
            "en": "Each model family here is written from its paper, to be read and taken apart, and stands beside the "
            "implementation that people use. Training runs in a process of its own: close the page and come back, "
            "the run goes on.",
            "ko": "모든 모델은 논문을 보고 읽기 쉽게 직접 구현했으며, 널리 쓰이는 구현과 나란히 견줄 수 있습니다. "
            "학습은 별도의 프로세스에서 돌아가므로 페이지를 닫았다가 돌아와도 계속됩니다.",
        },
    ),
    (
        {"en": "Your data", "ko": "내 데이터"},
        {
            "en": "Pictures and recordings that you upload, or digits that you say to train on, are kept on this server "
            "under a name that only your browser knows, and used for your runs alone. The button beside them deletes "
            "them; what is not used for a week is deleted with the next upload. What you paint or record in a view stays in "
            "your browser: it is sent here for each drawing, used, and not kept. No page of this app asks any other host for anything, and nothing is measured.",
            "ko": "올린 사진과 녹음, 학습에 쓰려고 말한 숫자는 내 브라우저만 아는 이름으로 이 서버에 보관되고, 내 학습에만 "
            "쓰입니다. 옆의 버튼으로 삭제할 수 있고, 일주일 동안 쓰지 않은 것은 다음에 누군가 올릴 때 삭제됩니다. "
            "보기에서 그리거나 녹음한 것은 내 브라우저에만 있으며, 그릴 때마다 서버로 보내 쓰인 뒤 남지 않습니다. "
            "이 페이지는 다른 서버에 아무것도 요청하지 않으며, 사용 기록도 수집하지 않습니다.",
        },
    ),
    (
        {"en": "Many tabs at once", "ko": "여러 탭을 열 때"},
        {
            "en": "A browser opens six connections to one address, and a run that is watched holds one. If a fourth or "
            "fifth tab seems to hang, close another.",
            "ko": "브라우저는 한 주소에 연결을 여섯 개까지만 엽니다. 학습을 보고 있는 탭은 연결을 하나씩 "
            "차지하므로, 넷째나 다섯째 탭이 멈춘 듯하면 다른 탭을 닫아 주세요.",
        },
    ),
)


def about_html(catalogue: list[Any]) -> str:
    """What this is, the papers, the data and their credits."""
    parts = "".join(f"<h2>{both(title)}</h2><p>{both(text)}</p>" for title, text in ABOUT)
    papers = "".join(
        f'<li><strong>{both(f.title)}</strong> <cite lang="en">{html.escape(f.paper)}</cite></li>'
        for f in registry.families().values()
    )
    credits = "".join(
        f'<li><strong>{both(d.title)}</strong> {both(d.about)} <cite lang="en">{html.escape(d.credit)}</cite></li>'
        for d in catalogue
    )
    heads = {"papers": {"en": "Papers", "ko": "논문"}, "data": {"en": "Data", "ko": "데이터"}}
    return (
        f'<div class="about">{parts}<h2>{both(heads["papers"])}</h2><ul>{papers}</ul>'
        f"<h2>{both(heads['data'])}</h2><ul>{credits}</ul></div>"
    )


def failure_html(trace: str) -> str:
    """The tab of a family that could not be imported."""
    return (
        f'<div class="outputs"><p class="error" role="alert">{both(WORDS["failed import"])}</p>'
        f'<pre class="trace" lang="en">{html.escape(trace)}</pre></div>'
    )
