import errno
import json
import os
import re
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from baton_reasoning.core.charts import CIRCLE, DIAMOND, SHAPES
from baton_reasoning.core.conversation import Exchange
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.engines.body import Author
from baton_reasoning.core.errors import SettingsError, StoreError
from baton_reasoning.core.export.formats import FORMATS, write_file
from baton_reasoning.core.export.html_page import to_html
from baton_reasoning.core.export.json_format import gather, put_into, read_json, to_json
from baton_reasoning.core.export.markdown import inert, to_markdown
from baton_reasoning.core.store.runs import DAMAGED
from baton_reasoning.core.thinking.events import TextInserted
from baton_reasoning.core.thinking.reasons import EDITED
from baton_reasoning.core.thinking.run_settings import RunSettings
from baton_reasoning.core.thinking.trace import Trace
from baton_reasoning.core.words.authors import SIGN, WHO
from tests.authored import authored
from tests.core.store.made import a_run, an_answer, save
from tests.fakes import mixed
from tests.fakes.valued import RESCUED, a_valued_run, values_of
from tests.systems import posix_only

HOSTILE = '</div><script>alert("x")</script><img src=x onerror=alert(1)> </details> & "quoted"'


@pytest.fixture
def exported():
    return an_answer(Trace.of(a_run(answer="It is \\boxed{4}.")), name="Sums <b>")


# JSON, which can be read again


def test_a_tree_survives_export_and_import(store):
    first = Exchange("One?", RunSettings(seed=3), id="1")
    second, third = (Exchange(problem, parent=first) for problem in ("Two?", "Three?"))
    for exchange in (first, second, third):
        store.conversations.put("c", exchange).result()
        save(store, exchange.id, [*a_run(exchange.problem), values_of(Trace.of(a_run()), RESCUED)])
    store.conversations.put("c", Exchange("Unanswered?", parent=second)).result()
    store.conversations.show("c", second.id).result()
    before = gather(store, "c")
    after = gather(store, put_into(store, read_json(to_json(before))))
    assert len(store.conversations.recent()) == 2
    assert [each.trace.events for each in after] == [each.trace.events for each in before]
    assert [each.settings for each in after] == [each.settings for each in before]
    assert (after.name, [each.problem for each in after.path]) == ("One?", ["One?", "Two?"])
    one, two, three, four = after
    assert (one.parent, two.parent, three.parent, four.parent) == (None, one, one, two)
    assert one.settings.seed == 3


def test_a_damaged_answer_is_exported_up_to_there_and_every_format_and_an_import_say_so(store):
    store.conversations.put("c", Exchange("One?", id="1")).result()
    for part in (a_run()[:9], a_run()[9:]):
        save(store, "1", part)
    assert not any(DAMAGED in to_text(gather(store, "c")) for to_text in FORMATS.values())
    store.runs._database.execute("UPDATE event_chunks SET events = x'00' WHERE sequence = 1").result()
    exported = gather(store, put_into(store, read_json(to_json(gather(store, "c")))))
    assert exported.path[0].trace.text == Trace.of(a_run()[:9]).text
    for to_text in FORMATS.values():
        assert to_text(exported).count(DAMAGED) == 1


@pytest.mark.parametrize(
    ("text", "words"),
    [
        *((text, "cannot be read as a conversation") for text in ("", "nonsense", "[" * 100_000)),
        *((text, "not a conversation that Baton exported") for text in ("[]", "{}", '{"format": "other"}')),
        ({"version": 99}, "newer"),
        *(({"leaf": leaf}, "cannot be read as a conversation") for leaf in (["1"], [], 7)),
        ({"exchanges": [{}]}, "cannot be read as a conversation"),
    ],
)
def test_what_is_no_export_is_refused_in_words(exported, text, words):
    text = text if isinstance(text, str) else json.dumps(json.loads(to_json(exported)) | text)
    with pytest.raises(StoreError, match=words):
        read_json(text)


def test_a_file_with_a_repeated_id_or_a_value_that_cannot_be_saved_is_refused_whole(store, exported):
    data = json.loads(to_json(exported))
    (exchange,) = data["exchanges"]
    with pytest.raises(StoreError, match="Two exchanges of this file have the same id"):
        read_json(json.dumps(data | {"exchanges": [exchange, exchange]}))
    late = exchange | {"id": "2", "created": "0001-01-01T00:00:00+23:00"}
    with pytest.raises(StoreError, match="a value that cannot be saved"):
        put_into(store, read_json(json.dumps(data | {"exchanges": [exchange, late]})))
    assert store.conversations.recent() == []
    assert store.flush() is None, "nothing of it is tried again"


# What pages show


def row(author, text, name="", reason=""):
    said = "".join(f'<span class="why">{note}</span> ' for note in (name, reason) if note)
    who = f"{WHO[author]}: {reason}" if reason else WHO[author]
    signs = f'<span class="signs"><b title="{who}">{SIGN[author]}</b></span>{said}'
    return f'<div class="row text {author.value}">{signs}<span class="text">{text}</span></div>'


def by(author, text, name=""):
    """A part of a row that others wrote in, too."""
    said = f' <span class="why">{name}</span> ' if name else ""
    return f'<span class="by {author.value}" title="{WHO[author]}"><b>{SIGN[author]}</b>{said}{text}</span>'


def test_pages_have_problem_answer_and_thinking_signed_by_author(exported):
    text, page = FORMATS[".md"](exported), FORMATS[".html"](exported)
    assert "# Sums &lt;b>\n" in text
    assert "\n> What is 2 + 2?\n" in text
    assert "\nIt is \\boxed{4}.\n" in text
    assert "● Step 0 goes on.\n\n◆ Step 1 goes on." in text
    assert "*14 tokens, large share 43%, 5.0 s, end of text · 2026-05-04 12:00 · policy keywords · seed 7*" in text
    assert row(Author.SMALL, "Step 0 goes on.") in page
    assert row(Author.LARGE, "Step 1 goes on.", reason="Reflection, cue “wait”") in page
    assert "cue “wait”" in page
    assert 'title="\\boxed{4}"' in page[page.index('<div class="answer">') :], "a formula, with its source"
    assert "Who wrote what" not in text, "one model wrote the answer"
    assert "Reasoning, 4 steps" in page
    assert "think&gt;" not in page, "a closing tag that stands alone is no step"


def test_what_a_person_edited_is_signed_and_a_model_may_not_name_itself_markup():
    run = Trace.of(a_run())
    edit = run.edited(run.pieces[0].position, "<b>Mine</b></details>")
    exported = an_answer(edit)
    assert "✎ &lt;b&gt;Mine" in to_markdown(exported)
    assert to_markdown(exported).count("</details>") == 1, "nobody can close the fold"
    page = to_html(exported)
    assert row(Author.PERSON, "&lt;b&gt;Mine&lt;/b&gt;&lt;/details&gt;", reason="Edited by a person") in page
    assert '<i class="person"' in page
    start, *rest = a_run()
    named = msgspec.structs.replace(start, small=ModelCard("<img src=//x/p.png>", "", 0))
    assert "● &lt;img src=//x/p.png>, 8 tokens ·" in to_markdown(an_answer(Trace.of([named, *rest])))


def test_the_answer_of_models_that_do_not_think_is_whole_and_signed_where_several_wrote_it():
    exported = an_answer(Trace.of(mixed.by_one_pair()))
    text, page = to_markdown(exported), to_html(exported)
    assert "\nTwo and two.\n\nWait, they make\n\n<details><summary>Who wrote what: ● small, ◆ large, " in text
    assert "\n\n● Two and two.\n\n◆ Wait, they\n\n● make\n\n</details>" in text
    assert "● SmolLM2-135M Q8_0, 4 tokens · ◆ Qwen2.5-0.5B Q8_0, 2 tokens · policy keywords · seed 7*" in text
    assert row(Author.SMALL, "Two and two.") in page
    assert by(Author.LARGE, "Wait, they") + by(Author.SMALL, " make") in page
    for without in "Thinking", "Reasoning, 0 steps", "wrote a part":
        assert without not in text + page


def test_two_models_of_one_author_are_told_apart_by_name():
    exported = an_answer(Trace.of(mixed.by_two_pairs()))
    text, page = to_markdown(exported), to_html(exported)
    assert "\n\n● SmolLM2-135M Q8_0: make\n\n● gemma-3-270m Q8_0: four.\n\nDone.\n\n</details>" in text
    assert "\n\n◆ Wait, they\n\n" in text, "there is one large model"
    told = "● SmolLM2-135M Q8_0, 4 tokens · ◆ Qwen2.5-0.5B Q8_0, 2 tokens · ● gemma-3-270m Q8_0, 3 tokens · "
    for each in text, page:
        assert f"{told}policy keywords, then every-step · seeds 7, 8" in each
    assert by(Author.SMALL, " make", "SmolLM2-135M Q8_0") + by(Author.SMALL, " four.", "gemma-3-270m Q8_0") in page
    assert row(Author.SMALL, "Done.", "gemma-3-270m Q8_0") in page
    starts = (mixed.begun(), mixed.begun(mixed.GEMMA))
    smol, gemma = (msgspec.structs.replace(start, thinking=True) for start in starts)
    steps = Trace.of([smol, *mixed.by(Author.SMALL, "One.\n\n"), gemma, *mixed.by(Author.SMALL, "Two.")])
    folded = to_markdown(an_answer(steps))
    assert "\n\n● SmolLM2-135M Q8_0: One.\n\n● gemma-3-270m Q8_0: Two.\n\n</details>" in folded
    assert "Who wrote what" not in folded, "there is no answer yet"


def test_a_sentence_of_a_person_is_theirs_in_every_format():
    exported = an_answer(mixed.with_a_person())
    text, page = to_markdown(exported), to_html(exported)
    assert "*✎ A person wrote a part of the answer.*\n\nTwo and two.\n\nWait, they make I say 22. So be it." in text
    assert "\n\n✎ I say 22.\n\n" in text
    assert '<span class="by person" title="a person: Edited by a person"><b>✎</b> I say 22. </span>' in page
    for each in text, page:
        assert "· ✎ a person ·" in each
    (answered,) = read_json(to_json(exported))
    assert [(piece.author, piece.text) for piece in answered.trace.pieces][3] == (Author.PERSON, " I say 22. ")
    alone = Trace.of([mixed.begun(), TextInserted(0.0, "All mine.", EDITED.id, Author.PERSON)])
    assert "\n\n✎ All mine.\n\n</details>" in to_markdown(an_answer(alone)), "and where nobody else wrote"
    thinking = Trace.of(a_run())
    edited = to_markdown(an_answer(thinking.edited(thinking.pieces[0].position, "Mine")))
    assert "*✎ A person wrote a part of the reasoning.*" in edited


def test_a_fence_that_another_author_was_to_close_ends_no_fold():
    events = [mixed.begun(), *mixed.by(Author.SMALL, "```c\n", "one"), *mixed.by(Author.LARGE, " two\n```")]
    page = MarkdownIt("commonmark").render(to_markdown(an_answer(Trace.of(events))))
    assert page.index("one two") < page.index("◆ two") < page.index("</details>")
    assert page.count("<pre>") == 1, "the answer as a whole"


def test_a_page_renders_markdown_as_a_whole_with_the_author_of_each_line():
    parts = ["So:\n\n```python\nx = [1,\n\n", "2]  # <b>\n```\n\n- It \\(= \\frac{1}", "{2}\\) **is**\n\n|a|\n|-|\n|1|"]
    page = to_html(an_answer(authored(zip((Author.SMALL, Author.LARGE, Author.SMALL), parts, strict=True))))
    code = page[page.index('<div class="code">') : page.index('<span class="marker">')]
    lines = re.findall('class="row code ([a-z]+)">.*<span class="text">(.*)</span></div>', code)
    written = [(author, re.sub("<[^>]*>", "", line)) for author, line in lines]
    assert written == [("small", "x = [1,"), ("small", ""), ("large", "2]  # &lt;b&gt;")]
    item = page[page.index('<div class="row text mixed') : page.index("<table>")]
    assert "<b>●</b><b>◆</b>" in item or "<b>◆</b><b>●</b>" in item
    assert item.count("<svg") == 1
    assert "<strong>is</strong>" in item
    assert page.count("<td") == 2
    assert Tags(page).open == []


def test_pages_show_the_system_prompt_and_say_what_other_branches_they_leave_out():
    exported = an_answer(Trace.of(a_run()), system="Be <b>brief</b>.")
    assert "System prompt: Be &lt;b>brief&lt;/b>." in to_markdown(exported)
    assert "System prompt: Be &lt;b&gt;brief&lt;/b&gt;." in to_html(exported)
    for told in "", "1 other attempt is in the JSON export", "2 other attempts are in the JSON export":
        for page in (to_markdown(exported), to_html(exported)):
            assert told in page
            assert ("in view" in page) is bool(told)
        exported.add(Exchange("Again?"), shows=False)


def test_a_page_draws_values_and_says_what_they_are():
    page = to_html(an_answer(a_valued_run()))
    drawing = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    assert drawing.attrib["role"] == "img"
    assert sum(each.tag.endswith("polygon") for each in drawing) == 1, "the band of the intervals"
    signs = [each for each in drawing if each.tag.endswith("path")]
    fills = [re.findall(r"--(\w+)", each.attrib["fill"])[0] for each in signs]
    assert fills == ["background", "inserted", "small", "large", "large"], "first what was replaced, hollow"
    assert [each.attrib["d"] for each in signs] == [SHAPES[at] for at in (CIRCLE, CIRCLE, CIRCLE, DIAMOND, DIAMOND)]
    (branch,) = (each.attrib["points"] for each in drawing if "stroke-dasharray" in each.attrib)
    assert branch == "141.4,75.0 250.8,140.0", "to what the first takeover replaced"
    numbers = [each.text for each in drawing if each.attrib.get("text-anchor") == "middle"]
    assert numbers == ["1", "2", "4"], "of the steps"
    assert "Share of continuations that end in 4: " in page
    assert "Agreement is no proof." in to_html(an_answer(a_valued_run(is_expected=False)))
    assert "<svg" not in to_html(an_answer(Trace.of(a_run())))


# Files


@pytest.mark.parametrize("ending", FORMATS)
def test_files_are_written_for_their_owner_alone_even_with_half_a_surrogate_pair(tmp_path, ending):
    path = tmp_path / f"export{ending.upper()}"
    write_file(path, FORMATS, an_answer(Trace.of(a_run(answer="broken \ud83d"))))
    assert "broken" in path.read_text(encoding="utf-8")
    if os.name == "posix":
        assert path.stat().st_mode & 0o777 == 0o600
    with pytest.raises(SettingsError, match="cannot be written"):
        write_file(tmp_path / "no folder" / f"x{ending}", FORMATS, an_answer(Trace.of(a_run())))
    with pytest.raises(StoreError, match=r"no kind of file .* Use one of \.json, \.md, \.html"):
        write_file(tmp_path / "x.docx", FORMATS, an_answer(Trace.of(a_run())))


def test_an_export_that_fails_leaves_what_was_there(tmp_path):
    def fails(error):
        yield "half"
        raise error

    path = tmp_path / "notes.md"
    path.write_text("before")
    full, denied = OSError(errno.ENOSPC, "full"), OSError(errno.EACCES, "denied")
    raised = {StoreError("damaged"): StoreError, full: StoreError, denied: SettingsError, SystemExit(): SystemExit}
    for error, expected in raised.items():
        with pytest.raises(expected):
            write_file(path, {".md": fails}, error)
    assert path.read_text() == "before"
    assert list(tmp_path.iterdir()) == [path], "no unfinished file is left"


@posix_only("links without a permission, and devices")
def test_an_export_to_a_link_replaces_what_it_names_and_one_to_a_device_is_written_to_it(tmp_path):
    path, link, device = tmp_path / "notes.md", tmp_path / "link.md", tmp_path / "device.md"
    link.symlink_to(path)
    device.symlink_to("/dev/null")
    for target in (link, device):
        write_file(target, {".md": str}, "after")
        assert target.is_symlink()
    assert (path.read_text(), path.is_symlink()) == ("after", False)
    assert Path("/dev/null").is_char_device()


def test_no_file_holds_what_steers_a_terminal_or_turns_text_around(tmp_path):
    attack, emoji = "\x1b]52;c;cm0=\x07\x9b2J\u202eevil", "👩\u200d🔬 می\u200cخواهم עברית"
    exported = an_answer(Trace.of(a_run(attack, f"{attack} {emoji}")), f"Sums {attack}", attack, system=attack)
    for ending in FORMATS:
        path = tmp_path / f"x{ending}"
        write_file(path, FORMATS, exported)
        text = path.read_text("utf-8")
        assert not set(text) & set("\x1b\x07\x9b\u202e"), ending
        assert (emoji if ending != ".json" else "\\u200d") in text
    (again,) = read_json((tmp_path / "x.json").read_text("utf-8"))
    assert again.trace.answer.strip() == f"{attack} {emoji}"


# Nothing that a model or a person wrote becomes markup


class Tags(HTMLParser):
    def __init__(self, page):
        super().__init__()
        self.tags, self.open = [], []
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        assert not any(name.startswith("on") for name, _ in attrs)
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag):
        assert self.open.pop() == tag


def test_nothing_becomes_a_tag_in_html():
    trace = Trace.of(a_run(HOSTILE, answer=HOSTILE))
    trace.apply(msgspec.structs.replace(values_of(trace, RESCUED), model=HOSTILE, target=HOSTILE))
    tags = Tags(to_html(an_answer(trace, HOSTILE, HOSTILE, system=HOSTILE)))
    assert not {"script", "img", "link", "iframe"} & set(tags.tags)
    assert tags.open == []


@pytest.mark.parametrize(
    ("written", "exported"),
    [
        ("2 < 3 <script>alert(1)</script>", "2 < 3 &lt;script>alert(1)&lt;/script>"),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n&lt;b>"),
        ("- x\n  ```\n<b>", "- x\n  ```\n&lt;b>"),
        ("~~~\n<b>", "~~~\n<b>\n~~~"),
        (r"!![x](y) \\\![x](y)", r"!\![x](y) \\\![x](y)"),
    ],
)
def test_tags_and_images_are_text_in_markdown_and_code_stays_readable(written, exported):
    assert inert(written) == exported
    code = "```c\n#include <stdio.h>\n```"
    assert code in to_markdown(an_answer(Trace.of(a_run(answer=code))))


PIECES = [
    *"``` ~~~~ ` \\ --- = - | \\| <b> </b> <pre> <script> </details> <a -->".split(),
    *("- ", "2. ", "> ", "    ", "\t", "\n", "\n\n", "\r", " ", "-|-\n", "<!-- "),
    *("[foo]: <a b>", "<img src=//x/p.png>", "![b](//x/p.png)", "!["),
]
"""Of which Markdown makes containers, code, HTML and images."""
markdown = st.lists(st.sampled_from(PIECES), max_size=24).map("".join)
_TAGS = "a blockquote code details em h1 h2 li ol p pre strong summary table tbody td th thead tr ul".split()
WRITTEN_BY_MARKDOWN = {"br", "hr", *_TAGS, *(f"/{tag}" for tag in _TAGS)}


@pytest.mark.scaled
@given(markdown, markdown, markdown, markdown)
@example("- x\n  ```\n<img src=//x/p.png>", "", "", "")
@example("", "1. x\n\n   ~~~\n\n![b](//x/p.png)", "", "")
@example("", "x", "", "```\n<b>")
@example("```\nx\r```\n<b>", r"\![x](y)", "", "")
@example("", "~~~", "~~~\n<b>", "")
@example("[foo]: <a b>\n    <b>", "", "", "")
@example("", "```a|b\n-|-\n![b](//x/p.png)|2\n```", "", "")
def test_nothing_becomes_a_tag_or_an_image_in_markdown(problem, one, two, system):
    conversation = an_answer(Trace.of(a_run(answer=one)), one, problem, system=system)
    (first,) = conversation
    first.trace.pieces[0].insert(two)
    second = Exchange(problem, parent=first, trace=Trace.of(a_run(answer=two)))
    named = mixed.begun(replace(mixed.SMOL, name=two)), mixed.begun(replace(mixed.GEMMA, name=one))
    texts = [*mixed.by(Author.SMALL, one), *mixed.by(Author.LARGE, two), TextInserted(0.0, problem, "", Author.PERSON)]
    several = Trace.of([named[0], *texts, named[1], *texts])
    for exchange in second, Exchange(problem, parent=second, trace=several):
        conversation.add(exchange)
    page = to_markdown(conversation)
    for parser in (MarkdownIt("commonmark"), MarkdownIt("commonmark").enable("table")):
        assert set(re.findall(r"<([!?/]?[\w-]*)", parser.render(page))) <= WRITTEN_BY_MARKDOWN
    plain = MarkdownIt("commonmark").render(page)
    assert plain.count("<details>") == plain.count("</details>"), "no fence keeps a fold open"
