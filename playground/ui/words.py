"""What the interface says, in its two languages, and which of them a visitor reads."""

from __future__ import annotations

import html
from collections.abc import Mapping
from typing import Any

import gradio as gr

from playground.contract import Text, Told

LANGUAGES = ("en", "ko")
COOKIE = "playground_language"

WORDS: dict[str, Text] = {
    "title": {"en": "Generative playground", "ko": "생성 모델 놀이터"},
    "lead": {
        "en": "Train a generative model in your browser, look inside it, and set it beside the library's own version.",
        "ko": "브라우저에서 생성 모델을 학습시키고, 속을 들여다보고, 라이브러리의 구현과 나란히 견주어 보세요.",
    },
    "home": {"en": "Home", "ko": "홈"},
    "image": {"en": "Image", "ko": "이미지"},
    "speech": {"en": "Speech", "ko": "음성"},
    "compare": {"en": "Compare", "ko": "비교"},
    "about": {"en": "About", "ko": "안내"},
    "open": {"en": "Open", "ko": "열기"},
    "play": {"en": "Play", "ko": "듣기"},
    "no picture": {"en": "No picture yet: train it.", "ko": "아직 그림이 없습니다. 학습시켜 보세요."},
    "made by": {"en": "Made by the shipped checkpoint", "ko": "제공된 체크포인트가 만든 결과"},
    "failed import": {
        "en": "This family could not be loaded. The others work; this is the error:",
        "ko": "이 모델은 불러오지 못했습니다. 다른 모델은 정상입니다. 오류 내용:",
    },
    "shipped": {"en": "Shipped", "ko": "제공됨"},
    "untrained": {
        "en": "There is no checkpoint yet. Press Train: the result appears here.",
        "ko": "아직 체크포인트가 없습니다. 학습을 누르면 결과가 여기에 나타납니다.",
    },
    "your upload": {"en": "Your upload", "ko": "올린 체크포인트"},
    "your run": {"en": "Your run", "ko": "내 학습"},
    "unexpected": {"en": "Something went wrong:", "ko": "문제가 생겼습니다:"},
    "no checkpoint": {
        "en": "This checkpoint is no longer here. Choose another one.",
        "ko": "이 체크포인트는 더 이상 없습니다. 다른 것을 골라 주세요.",
    },
    "no run": {"en": "This run is no longer here.", "ko": "이 학습은 더 이상 없습니다."},
    "bad request": {"en": "The request could not be read.", "ko": "요청을 읽을 수 없습니다."},
    "damaged": {"en": "This checkpoint cannot be used.", "ko": "이 체크포인트는 쓸 수 없습니다."},
    "too many runs": {
        "en": "You have {n} runs that are waiting or training. Stop one of them first.",
        "ko": "대기 중이거나 진행 중인 학습이 {n}개 있습니다. 먼저 하나를 멈춰 주세요.",
    },
    "too fast": {
        "en": "That was a lot in a short time. Please wait a moment.",
        "ko": "짧은 시간에 요청이 너무 많습니다. 잠시 기다려 주세요.",
    },
    "not ready": {
        "en": "The training service is still starting. Try again in a moment.",
        "ko": "학습 서비스가 시작되는 중입니다. 잠시 후 다시 시도해 주세요.",
    },
    "pictures kept": {"en": "{n} pictures are ready.", "ko": "사진 {n}장을 준비했습니다."},
    "recordings kept": {"en": "{n} recordings are ready.", "ko": "녹음 {n}개를 준비했습니다."},
    "files skipped": {"en": "{n} files were skipped: {names}", "ko": "파일 {n}개를 건너뛰었습니다: {names}"},
    "own deleted": {"en": "What you uploaded was deleted.", "ko": "올린 것을 삭제했습니다."},
    "sounded by": {"en": "Sounded by: {name}", "ko": "소리로 바꾼 방법: {name}"},
    "checkpoint taken": {"en": "The checkpoint is sound and ready.", "ko": "체크포인트를 확인했습니다."},
    "other family": {
        "en": "This checkpoint belongs to {name}. Open that tab and load it there.",
        "ko": "이 체크포인트는 {name} 모델의 것입니다. 그 탭에서 불러와 주세요.",
    },
    "yes": {"en": "yes", "ko": "예"},
    "no": {"en": "no", "ko": "아니요"},
    "download": {"en": "Download", "ko": "내려받기"},
    "copy command": {"en": "Copy as command line", "ko": "명령줄로 복사"},
    "copy python": {"en": "Copy as Python", "ko": "파이썬으로 복사"},
    "pictures": {"en": "{n} pictures", "ko": "그림 {n}장"},
    "contact sheet": {"en": "Contact sheet", "ko": "그림 모음"},
    "recording": {"en": "Recording", "ko": "녹음"},
    "heat map": {"en": "Heat map", "ko": "열지도"},
    "table": {"en": "Table", "ko": "표"},
    "live": {"en": "Training now: step {step}", "ko": "학습 중: {step} 스텝"},
    "upload checkpoint": {"en": "Load a checkpoint (.zip)", "ko": "체크포인트 불러오기 (.zip)"},
    "upload pictures": {"en": "Use my own pictures (.zip)", "ko": "내 사진 쓰기 (.zip)"},
    "upload recordings": {"en": "Use my own recordings (.zip)", "ko": "내 녹음 쓰기 (.zip)"},
    "ours": {"en": "Written here", "ko": "이 프로젝트의 구현"},
    "reference": {"en": "Reference", "ko": "참조 구현"},
}


def t(key: str, **values: Any) -> Text:
    """The phrase in every language, `values` put in."""
    return {language: phrase.format(**values) if values else phrase for language, phrase in WORDS[key].items()}


def language_of(request: gr.Request | None) -> str:
    """The visitor's language: what was chosen on the page (a cookie), else what the browser asks for first."""
    cookies = getattr(request, "cookies", None) or {}
    chosen = cookies.get(COOKIE)
    if chosen in LANGUAGES:
        return chosen
    headers = getattr(request, "headers", None) or {}
    return "ko" if headers.get("accept-language", "").lower().startswith("ko") else "en"


def both(text: Mapping[str, str]) -> str:
    """HTML that holds the phrase in both languages; the style sheet shows the one of the page."""
    if text["en"] == text["ko"]:
        return html.escape(text["en"])
    return "".join(f'<span class="t" lang="{lang}">{html.escape(text[lang])}</span>' for lang in LANGUAGES)


def i18n() -> gr.I18n:
    """The phrases for Gradio's own labels."""
    return gr.I18n(**{lang: {_key(key): text[lang] for key, text in WORDS.items()} for lang in LANGUAGES})


def label(catalogue: gr.I18n, key: str) -> Any:
    """The label for a Gradio component that shows the phrase in the page's language."""
    return catalogue(_key(key))


def _key(key: str) -> str:
    return "playground_" + key.replace(" ", "_")


def told(error: Exception, language: str) -> str:
    """What to say of an error, in the visitor's language: errors made for people have their own words."""
    text = getattr(error, "text", None)
    if isinstance(text, dict) and language in text:
        return text[language]
    return f"{WORDS['unexpected'][language]} {type(error).__name__}: {error}"


def sentence(key: str, **values: Any) -> Told:
    """An error to raise with the phrase of that key."""
    text = t(key, **values)
    return Told(text["en"], text["ko"])
