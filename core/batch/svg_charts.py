"""The charts of a report as SVG: whole files, or parts of a page. Black on white, readable in grey and in print."""

from __future__ import annotations

import math
from collections.abc import Sequence
from html import escape

from core.batch.report import PLACES, ArmReport, Report

INK, FAINT, LARGE, GROUND = "#1b1c1f", "#62656d", "#a84f06", "#ffffff"
_FONT = 'font-family="Inter, Helvetica, Arial, sans-serif"'
_SIGNS = ("circle", "diamond", "square", "triangle")


def accuracy_against_speed(report: Report, width: int = 640, height: int = 400) -> str:
    """Each arm a point with its interval; a dashed line joins those that no other beats."""
    arms = [arm for arm in report.arms if arm.accuracy and arm.tokens_per_second]
    if not arms:
        return _svg(
            width, height, [_text(width / 2, height / 2, "No arm has a scored answer yet.", "middle")], "Nothing"
        )
    left, right, top, bottom = 64, width - 24, 28, height - 52
    lows = [arm.accuracy.interval.low for arm in arms if arm.accuracy]
    floor = math.floor(min(lows) * 10) / 10
    fastest = _round_up(max(arm.tokens_per_second for arm in arms))

    def x(speed: float) -> float:
        return left + (right - left) * speed / fastest

    def y(share: float) -> float:
        return bottom - (bottom - top) * (share - floor) / max(0.1, 1 - floor)

    parts = [_text(left, top - 10, "% correct"), _text((left + right) / 2, height - 12, "tokens per second", "middle")]
    for tenth in range(round(floor * 10), 11):
        parts.append(_line(left, y(tenth / 10), right, y(tenth / 10), "#e4e3df"))
        parts.append(_text(left - 8, y(tenth / 10) + 4, f"{tenth * 10}", "end"))
    for quarter in range(5):
        speed = fastest * quarter / 4
        parts.append(_text(x(speed), bottom + 18, f"{speed:,.0f}", "middle"))
    front = [
        (x(arm.tokens_per_second), y(arm.accuracy.value)) for arm in report.front() if arm.accuracy and arm in arms
    ]
    points = " ".join(f"{px:.1f},{py:.1f}" for px, py in front)
    parts.append(f'<polyline points="{points}" fill="none" stroke="{FAINT}" stroke-dasharray="4 4"/>')
    labels: list[tuple[float, float]] = []
    for index, arm in enumerate(arms):
        assert arm.accuracy
        px, py = x(arm.tokens_per_second), y(arm.accuracy.value)
        parts.append(_line(px, y(arm.accuracy.interval.low), px, y(arm.accuracy.interval.high), FAINT))
        parts.append(_sign(_SIGNS[index % len(_SIGNS)], px, py, _shade(arm)))
        at_right = px > (left + right) / 2
        label_y = _free(labels, px, py)
        labels.append((px, label_y))
        parts.append(
            _text(px - 10 if at_right else px + 10, label_y + 4, arm.name, "end" if at_right else "start", INK)
        )
    return _svg(width, height, parts, "Accuracy against speed, with 95% intervals and the Pareto front")


def takeovers_by_rule(arm: ArmReport, width: int = 640) -> str:
    """Where the large model stepped in: a bar for each rule."""
    total = max(1, sum(arm.takeovers.values()))
    height = 16 + 28 * max(1, len(arm.takeovers))
    parts = [] if arm.takeovers else [_text(8, 28, "No takeover.")]
    most = max(arm.takeovers.values(), default=1)
    for row, (rule, count) in enumerate(arm.takeovers.items()):
        top, length = 8 + 28 * row, (width - 260) * count / most
        parts.append(_text(8, top + 16, rule.value.capitalize(), colour=INK))
        parts.append(f'<rect x="180" y="{top + 4}" width="{length:.1f}" height="16" rx="2" fill="{LARGE}"/>')
        parts.append(_text(188 + length, top + 16, f"{count / total:.0%} ({count:,})", colour=INK))
    return _svg(width, height, parts, f"Where the large model stepped in, {arm.name}")


def places_of_takeovers(arm: ArmReport, width: int = 640, height: int = 160) -> str:
    """Takeovers by the place of their step in the text."""
    most, bar, bottom = max(1, *arm.places), (width - 32) / PLACES, height - 28
    parts = [
        f'<rect x="{16 + bar * place + 2:.1f}" y="{bottom - (bottom - 20) * count / most:.1f}" width="{bar - 4:.1f}" '
        f'height="{(bottom - 20) * count / most:.1f}" fill="{LARGE}"/>'
        + _text(16 + bar * (place + 0.5), bottom - (bottom - 20) * count / most - 4, f"{count:,}", "middle")
        for place, count in enumerate(arm.places)
    ]
    parts += [_line(16, bottom, width - 16, bottom, FAINT), _text(16, height - 8, "first step")]
    parts.append(_text(width - 16, height - 8, "last step", "end"))
    return _svg(width, height, parts, f"Places of takeovers, {arm.name}")


def _shade(arm: ArmReport) -> str:
    """Blue for the small model, orange for the large, ink for those who share the text."""
    if arm.large_tokens == 0:
        return "#2462c9"
    return LARGE if arm.small_tokens == 0 else INK


def _sign(kind: str, x: float, y: float, colour: str, r: float = 5.5) -> str:
    if kind == "circle":
        return f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{r}" fill="{colour}"/>'
    corners = {
        "diamond": ((0, -r - 1), (r + 1, 0), (0, r + 1), (-r - 1, 0)),
        "square": ((-r, -r), (r, -r), (r, r), (-r, r)),
        "triangle": ((0, -r), (r, r), (-r, r)),
    }[kind]
    return f'<polygon points="{" ".join(f"{x + dx:.1f},{y + dy:.1f}" for dx, dy in corners)}" fill="{colour}"/>'


def _free(labels: Sequence[tuple[float, float]], x: float, y: float) -> float:
    """A height for a label at which no other one stands near."""
    while any(abs(x - other_x) < 150 and abs(y - other_y) < 14 for other_x, other_y in labels):
        y += 14
    return y


def _round_up(value: float) -> float:
    """The next of 1, 2, 4, 8 times a power of ten."""
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 4, 8, 10) if step * power >= value)


def _line(x1: float, y1: float, x2: float, y2: float, colour: str) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="{colour}"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", colour: str = FAINT) -> str:
    place = f'x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}"'
    return f'<text {place} fill="{colour}" font-size="12" {_FONT}>{escape(text)}</text>'


def _svg(width: int, height: int, parts: Sequence[str], title: str) -> str:
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" width="{width}" height="{height}" '
        f'role="img"><title>{escape(title)}</title><rect width="{width}" height="{height}" fill="{GROUND}"/>'
        f"{''.join(parts)}</svg>"
    )
