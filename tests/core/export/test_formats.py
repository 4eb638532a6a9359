import json
import os
import re
from dataclasses import replace
from datetime import UTC, datetime
from html.parser import HTMLParser
from xml.etree import ElementTree

import msgspec
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from markdown_it import MarkdownIt

from baton_reasoning.app.toolkit.theme import colours
from baton_reasoning.core.charts import CIRCLE, DIAMOND, SHAPES
from baton_reasoning.core.engines.base import ModelCard
from baton_reasoning.core.errors import StoreError
from baton_reasoning.core.export import html_page
from baton_reasoning.core.export.exported import Answered, Exported, gather, put_into
from baton_reasoning.core.export.formats import FORMATS, write_file
from baton_reasoning.core.export.html_page import to_html
from baton_reasoning.core.export.json_file import read_json, to_json
from baton_reasoning.core.export.markdown import inert, to_markdown
from baton_reasoning.core.store.conversations import StoredExchange
from baton_reasoning.core.store.store import Store
from baton_reasoning.core.thinking.edit import edited
from baton_reasoning.core.thinking.events import RunStarted
from baton_reasoning.core.thinking.trace import Trace
from tests.core.store.made import a_run, save
from tests.fakes.valued import RESCUED, a_valued_run, values_of

HOSTILE = '</div><script>alert("x")</script><img src=x onerror=alert(1)> </details> & "quoted"'


def single_run(name: str, problem: str, trace: Trace) -> Exported:
    return Exported(name, (Answered(StoredExchange("1", None, problem), trace),), "1", datetime.now(UTC))


@pytest.fixture
def exported():
    return single_run("Sums <b>", "What is 2 + 2?", Trace.of(a_run(answer="It is \\boxed{4}.")))


@pytest.fixture
def hostile():
    trace = Trace.of(a_run(HOSTILE, answer=HOSTILE))
    trace.apply(msgspec.structs.replace(values_of(trace, RESCUED), model=HOSTILE, target=HOSTILE))
    return single_run(HOSTILE, HOSTILE, trace)


def test_what_a_person_edited_is_signed_in_every_format():
    run = Trace.of(a_run(answer="It is \\boxed{4}."))
    edit = edited(run, run.pieces[0].position, "<b>Mine</b>")
    exported = single_run("Sums", "2 + 2?", edit)
    assert "✎ &lt;b&gt;Mine" in to_markdown(exported)
    page = to_html(exported)
    assert '<div class="piece person"><b title="a person">✎</b> <span class="why">edited</span> &lt;b&gt;Mine' in page
    assert '<i class="person"' in page
    (read,) = read_json(to_json(exported)).exchanges
    assert read.trace.events == edit.events


def test_a_closing_tag_that_stands_alone_is_no_step(exported):
    page = to_html(exported)
    assert "Reasoning, 4 steps" in page
    assert "think&gt;" not in page


class Tags(HTMLParser):
    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.open: list[str] = []
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        assert not any(name.startswith("on") for name, _ in attrs)
        self.tags.append(tag)
        if tag != "meta":
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_a_tree_survives_export_and_import(tmp_path):
    with Store.open(tmp_path / "baton.sqlite") as store:
        for exchange in (
            StoredExchange("1", None, "One?", {"seed": 3}),
            StoredExchange("2", "1", "Two?"),
            StoredExchange("3", "1", "Three?"),
        ):
            store.conversations.put("c", exchange).result()
            save(store, exchange.id, a_run(exchange.problem))
        store.conversations.show("c", "2").result()
        before = gather(store, "c")
        after = gather(store, put_into(store, read_json(to_json(before))))
        assert len(store.conversations.recent()) == 2
    assert after.name == before.name
    assert [each.trace.events for each in after.exchanges] == [each.trace.events for each in before.exchanges]
    assert [each.exchange.settings for each in after.exchanges] == [{"seed": 3}, {}, {}]
    assert [each.exchange.problem for each in after.path()] == ["One?", "Two?"]


@pytest.mark.parametrize("text", ["", "[]", "{}", "nonsense", '{"format": "baton conversation", "version": 1}'])
def test_what_is_no_export_is_refused_in_words(text):
    with pytest.raises(StoreError):
        read_json(text)


def test_numbers_that_no_store_holds_are_refused_in_words(exported):
    data = json.loads(to_json(exported))
    usage = {"event": "usage", "at": 1, "author": "large", "usage": {"cost": {"read": 2**70}}}
    data["exchanges"][0]["events"].append(usage)
    with pytest.raises(StoreError, match="event of the kind 'usage' cannot be read"):
        read_json(json.dumps(data))


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"version": 99}, "newer"),
        ({"leaf": {}}, "cannot be read as a conversation"),
        ({"leaf": []}, "cannot be read as a conversation"),
        ({"leaf": 7}, "cannot be read as a conversation"),
    ],
)
def test_an_export_of_a_newer_baton_or_whose_leaf_is_no_id_is_refused(exported, change, words):
    with pytest.raises(StoreError, match=words):
        read_json(json.dumps(json.loads(to_json(exported)) | change))


def test_markdown_has_problem_answer_and_signed_thinking(exported):
    text = FORMATS[".md"](exported)
    assert "> What is 2 + 2?" in text
    assert "It is \\boxed{4}." in text
    assert "● Step 0 goes on." in text
    assert "◆ Step 1 goes on." in text


def test_pages_show_the_system_prompt():
    exchange = StoredExchange("1", None, "What is 2 + 2?", {"system": "Be <b>brief</b>."})
    exported = Exported("Sums", (Answered(exchange, Trace.of(a_run())),), "1", datetime.now(UTC))
    assert "System prompt: Be &lt;b>brief&lt;/b>." in to_markdown(exported)
    assert "System prompt: Be &lt;b&gt;brief&lt;/b&gt;." in to_html(exported)


def test_pages_say_what_other_branches_they_leave_out(exported):
    shown = exported.exchanges[0]
    other = replace(shown, exchange=replace(shown.exchange, id="other"))
    tree = replace(exported, exchanges=(shown, other))
    for page in (to_markdown, to_html):
        assert "1 other try is in the JSON export" in page(tree)
        assert "in view" not in page(exported)
    Tags(to_html(tree))


def test_a_page_shows_every_author_by_colour_and_sign(exported):
    page = FORMATS[".html"](exported)
    assert '<div class="piece small"><b title="the small model">●</b>' in page
    assert '<div class="piece large"><b title="the large model">◆</b>' in page
    assert "cue “wait”" in page
    assert 'It is <b class="boxed">4</b>.' in page


def test_a_page_draws_values_and_says_them_in_a_table():
    page = to_html(single_run("Sums", "What is 2 + 2?", a_valued_run()))
    drawing = ElementTree.fromstring(page[page.index("<svg") : page.index("</svg>") + len("</svg>")])
    assert drawing.attrib["role"] == "img"
    assert sum(each.tag.endswith("polygon") for each in drawing) == 1, "the band of the intervals"
    signs = [each for each in drawing if each.tag.endswith("path")]
    fills = [re.findall(r"--(\w+)", each.attrib["fill"])[0] for each in signs]
    assert fills == ["background", "inserted", "small", "large", "large"], "first what was replaced, hollow"
    assert [each.attrib["d"] for each in signs] == [SHAPES[at] for at in (CIRCLE, CIRCLE, CIRCLE, DIAMOND, DIAMOND)]
    assert sum("stroke-dasharray" in each.attrib for each in drawing) == 1, "to what the first takeover replaced"
    assert "continuations by R1-1.5B that end in 4, with" in page
    cells = " ".join(re.findall("<td[^>]*>([^<]*)</td>", page))
    assert " 2 ◆ 1.00 0.81–1.00 +1.00 (+0.73 to +1.00) " in f"{cells} "
    assert Tags(page).open == []
    agreement = to_html(single_run("Sums", "What is 2 + 2?", a_valued_run(is_expected=False)))
    assert "Agreement is no proof." in agreement
    assert "<svg" not in to_html(single_run("Sums", "What is 2 + 2?", Trace.of(a_run())))


def test_values_survive_export_and_import():
    exported = single_run("Sums", "What is 2 + 2?", a_valued_run())
    trace = read_json(to_json(exported)).exchanges[0].trace
    assert trace.values == exported.exchanges[0].trace.values != {}


def test_nothing_that_a_model_or_a_person_wrote_becomes_markup(hostile):
    tags = Tags(FORMATS[".html"](hostile))
    assert not {"script", "img", "link", "iframe"} & set(tags.tags)
    assert tags.open == []


def test_thinking_cannot_close_its_fold_in_markdown():
    thinking = Trace.of(a_run())
    thinking.pieces[0].insert("</details>")
    assert FORMATS[".md"](single_run("x", "y", thinking)).count("</details>") == 1


def test_the_page_has_the_colours_of_the_window():
    for page, window in ((html_page.LIGHT, colours.LIGHT), (html_page.DARK, colours.DARK)):
        assert page == {name: getattr(window, name) for name in page}


@pytest.mark.parametrize("ending", FORMATS)
def test_files_are_written_even_with_half_a_surrogate_pair(tmp_path, ending):
    path = tmp_path / f"export{ending}"
    write_file(path, FORMATS, single_run("x", "y", Trace.of(a_run(answer="broken \ud83d"))))
    assert "broken" in path.read_text(encoding="utf-8")


@pytest.mark.skipif(os.name != "posix", reason="Windows has other permissions")
@pytest.mark.parametrize("ending", FORMATS)
def test_only_the_owner_may_read_an_exported_conversation(tmp_path, exported, ending):
    write_file(tmp_path / f"export{ending}", FORMATS, exported)
    assert (tmp_path / f"export{ending}").stat().st_mode & 0o777 == 0o600


def test_a_file_that_cannot_be_written_is_said(tmp_path, exported):
    with pytest.raises(StoreError, match="cannot be written"):
        write_file(tmp_path / "no folder" / "x.md", FORMATS, exported)
    with pytest.raises(StoreError, match="no kind of file"):
        write_file(tmp_path / "x.docx", FORMATS, exported)


@pytest.mark.parametrize(
    ("written", "exported"),
    [
        ("<script>alert(1)</script>", "&lt;script>alert(1)&lt;/script>"),
        ("a < b and 2 > 1", "a < b and 2 > 1"),
        ("```html\n<b>\n```\n<b>", "```html\n<b>\n```\n&lt;b>"),
        ("- x\n  ```\n<b>", "- x\n  ```\n&lt;b>"),
        ("~~~\n<b>", "~~~\n<b>\n~~~"),
        (r"\![x](y)", r"\![x](y)"),
        (r"\\![x](y)", r"\\\![x](y)"),
        (r"!![x](y) \\\![x](y)", r"!\![x](y) \\\![x](y)"),
    ],
)
def test_tags_and_images_of_models_are_text_in_markdown(written, exported):
    assert inert(written) == exported


PIECES = (
    *(
        "```",
        "~~~~",
        "- ",
        "2. ",
        "> ",
        "    ",
        "\t",
        "\n",
        "\n\n",
        "\r",
        "`",
        "\\",
        "---",
        " ",
        "=",
        "-",
        "|",
        "\\|",
        "-|-\n",
    ),
    *("[foo]: <a b>", "<b>", "</b>", "<img src=//x/p.png>", "<!-- ", "-->", "<pre>", "<script>", "</details>", "<a"),
    *("![b](//x/p.png)", "!["),
)
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
@example("", "```a|b\n-|-\n<img src=//x/p.png>|2\n```", "", "")
@example("", "```a|b\n-|-\n![b](//x/p.png)|2\n```", "", "")
def test_nothing_of_a_model_becomes_a_tag_or_an_image_in_a_page(problem, one, two, system):
    first = StoredExchange("1", None, problem, {"system": system})
    second = StoredExchange("2", "1", problem)
    answered = (Answered(first, Trace.of(a_run(answer=one))), Answered(second, Trace.of(a_run(answer=two))))
    answered[0].trace.pieces[0].insert(two)
    page = to_markdown(Exported(one, answered, "2", datetime.now(UTC)))
    for parser in (MarkdownIt("commonmark"), MarkdownIt("commonmark").enable("table")):
        assert set(re.findall(r"<([!?/]?[\w-]*)", parser.render(page))) <= WRITTEN_BY_MARKDOWN


def test_code_is_readable_in_a_page_in_which_no_fence_is_left_open():
    code = "```c\n#include <stdio.h>\n```"
    assert code in to_markdown(single_run("x", "y", Trace.of(a_run(answer=code))))


def test_a_model_may_not_name_itself_markup():
    """The name of a model is what its file says."""
    card = ModelCard("<img src=//x/p.png>", "", 0)
    events = [
        msgspec.structs.replace(event, small=card) if isinstance(event, RunStarted) else event for event in a_run()
    ]
    assert "&lt;img src=//x/p.png>" in to_markdown(single_run("x", "y", Trace.of(events)))
