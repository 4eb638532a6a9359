"""What was shown, as one HTML file: the authors' colours and signs, light and dark, no scripts, nothing fetched."""

from __future__ import annotations

from html import escape

from core.engines.body import Author
from core.export.exported import Answered, Exported
from core.export.markdown import SIGNS, described
from core.thinking.trace import Piece, Step

LIGHT = {
    "background": "#f7f7f5",
    "text": "#1b1c1f",
    "muted": "#62656d",
    "panel": "#f0efec",
    "border": "#e4e3df",
    "small": "#2462c9",
    "large": "#a84f06",
    "inserted": "#62656d",
}
"""The window's colours; a test holds them to `app.shared.theme`."""
DARK = {
    "background": "#17181a",
    "text": "#ececee",
    "muted": "#a2a5ad",
    "panel": "#2a2b2f",
    "border": "#33353a",
    "small": "#7fb0ff",
    "large": "#f5a95a",
    "inserted": "#a2a5ad",
}
_NAMES = {Author.SMALL: "small model", Author.LARGE: "large model", Author.INSERTED: "inserted"}
_STYLE = """
body { background: var(--background); color: var(--text); font: 16px/1.55 system-ui, sans-serif;
  max-width: 46rem; margin: 2rem auto; padding: 0 1rem; }
.problem, .answer, .piece { white-space: pre-wrap; overflow-wrap: anywhere; }
.problem { background: var(--panel); border-radius: 10px; padding: .8rem 1rem; margin-top: 2.5rem; }
.ribbon { display: flex; height: 14px; align-items: flex-end; margin: 1rem 0 .4rem; }
.ribbon i { min-width: 1px; height: 68%; }
.ribbon i.large { height: 100%; }
i.small { background: var(--small); } i.large { background: var(--large); }
i.inserted { border: 1px dashed var(--inserted); box-sizing: border-box; }
.step { border-bottom: 1px solid var(--border); padding: .4rem 0; }
.piece.small b { color: var(--small); } .piece.large b { color: var(--large); }
.piece.inserted { color: var(--inserted); border-left: 2px dashed var(--inserted); padding-left: .5rem; }
.why, .totals, summary { color: var(--muted); font-size: .85em; }
"""
# No script, no image, no request: whatever a model wrote, the page stays what it is.
_POLICY = "default-src 'none'; style-src 'unsafe-inline'"


def to_html(exported: Exported) -> str:
    title = escape(" ".join(exported.name.split()))
    left_out = f'\n<p class="why">{escape(note)}</p>' if (note := exported.left_out()) else ""
    body = "\n".join(map(_answered, exported.path()))
    return f"""<!DOCTYPE html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta http-equiv="Content-Security-Policy" content="{_POLICY}">
<title>{title}</title>
<style>
:root {{ color-scheme: light dark; {_variables(LIGHT)} }}
@media (prefers-color-scheme: dark) {{ :root {{ {_variables(DARK)} }} }}{_STYLE}</style>
</head>
<body>
<h1>{title}</h1>
<p class="why">● small model, ◆ large model, ▣ inserted</p>{left_out}
{body}
</body>
</html>
"""


def _variables(colours: dict[str, str]) -> str:
    return " ".join(f"--{name}: {colour};" for name, colour in colours.items())


def _answered(each: Answered) -> str:
    trace = each.trace
    thinking = [step for step in trace.steps if not step.in_answer] if trace.thinks else []
    folded = "".join(map(_step, thinking))
    return f"""<section>
<div class="problem">{escape(each.exchange.problem.strip())}</div>
<div class="ribbon" role="img" aria-label="{escape(described(each))}">{_ribbon(trace.pieces)}</div>
<details><summary>Thinking, {len(thinking)} steps</summary>{folded}</details>
<div class="answer">{escape(trace.answer.strip())}</div>
<p class="totals">{escape(described(each))}</p>
</section>"""


def _ribbon(pieces: list[Piece]) -> str:
    return "".join(
        f'<i class="{piece.author.value}" style="flex-grow:{max(1, len(piece.tokens))}"></i>' for piece in pieces
    )


def _step(step: Step) -> str:
    return f'<div class="step">{"".join(map(_piece, step.pieces))}</div>'


def _piece(piece: Piece) -> str:
    cue = f", cue “{piece.cue.word}”" if piece.cue else ""
    why = f' <span class="why">{escape(piece.reason + cue)}</span>' if piece.reason else ""
    sign = f'<b title="{_NAMES[piece.author]}">{SIGNS[piece.author]}</b>'
    return f'<div class="piece {piece.author.value}">{sign}{why} {escape(piece.text.strip())}</div>'
