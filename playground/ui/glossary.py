"""Korean for the plain names that families give to their curves, captions and choices.

Contract texts carry both languages; names of values (`Progress.values`, `Curve.series`, captions, choices) are plain
strings. A name that stands here, or is a class name of a registered data set, is shown in Korean; any other stays.
"""

from __future__ import annotations

import re
from dataclasses import replace

from playground.contract import Curve, Field, Output, Sheet, Text
from playground.data import class_text

KOREAN = {
    "accuracy": "정확도",
    "average": "평균",
    "batch": "배치",
    "bound": "하한",
    "codebook": "코드북",
    "codebook perplexity": "코드북 퍼플렉시티",
    "codes": "코드",
    "commitment": "약속 손실",
    "classifier accuracy": "분류기 정확도",
    "classifier loss": "분류기 손실",
    "cosine": "코사인",
    "data": "데이터",
    "drawn": "그린 점",
    "discriminator": "판별자",
    "each": "각각",
    "error": "오차",
    "fake": "가짜",
    "feature matching": "특징 맞춤",
    "fit": "맞춤",
    "generated": "생성",
    "generator": "생성자",
    "gradient norm": "기울기 크기",
    "gradient penalty": "기울기 벌점",
    "held-out": "시험 데이터",
    "held-out loss": "시험 손실",
    "image": "그림",
    "input": "입력",
    "instance": "인스턴스",
    "KL": "KL",
    "layer": "층",
    "learning rate": "학습률",
    "linear": "선형",
    "log-likelihood": "로그 가능도",
    "loss": "손실",
    "mean": "평균",
    "mel loss": "멜 손실",
    "none": "없음",
    "noise": "잡음",
    "original": "원본",
    "output": "출력",
    "particles": "입자",
    "perplexity": "퍼플렉시티",
    "points": "점",
    "prior": "사전 분포",
    "real": "진짜",
    "rebuilt": "복원",
    "reconstruction": "재구성",
    "right text": "맞는 글을 찾은 비율",
    "score": "점수",
    "sharpness": "선명도",
    "stop": "멈춤",
    "test": "시험",
    "text": "글",
    "together": "누적",
    "total": "합계",
    "train": "학습",
    "variance": "분산",
    "variance kept": "남은 분산",
    "wall": "벽",
    "nats": "나트",
    "bits": "비트",
    "bits/dim": "비트/차원",
    "squared error": "제곱 오차",
    "steps": "스텝",
    "per pixel": "픽셀당",
    "a pixel": "픽셀당",
}
_WITH_UNIT = re.compile(r"(.+?) \(([^()]+)\)")
_OF_PLAYER = re.compile(r"([DG]) (.+)")
_OF_WHAT = re.compile(r"([DG])\((\w+)\)")


def named(name: str) -> Text:
    """The name in both languages; the same in both where no Korean is known."""
    return {"en": name, "ko": korean(name)}


def korean(name: str) -> str:
    """ "loss" -> "손실", "KL (nats)" -> "KL(나트)", "D loss" -> "D 손실", "airplane" -> "비행기"."""
    if name in KOREAN:
        return KOREAN[name]
    if found := _WITH_UNIT.fullmatch(name):
        return f"{korean(found[1])}({korean(found[2])})"
    if found := _OF_PLAYER.fullmatch(name):
        return f"{found[1]} {korean(found[2])}"
    if found := _OF_WHAT.fullmatch(name):
        return f"{found[1]}({korean(found[2])})"
    return class_text(name)["ko"]


def translated(output: Output, language: str) -> Output:
    """The output with its plain names in the reader's language."""
    if language == "en":
        return output
    if isinstance(output, Sheet) and output.captions:
        captions = [korean(str(caption)) for caption in output.captions]
        return Sheet(output.pictures, captions, output.columns, output.title)
    if isinstance(output, Curve):
        series = {korean(name): line for name, line in output.series.items()}
        return Curve(series, output.x_label, output.y_label, output.title, output.style)
    if isinstance(output, Field):
        return replace(output, points={korean(name): cloud for name, cloud in output.points.items()})
    return output
