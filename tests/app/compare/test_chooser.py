"""The dialog says what will happen, and refuses what cannot."""

from __future__ import annotations

import pytest
from PySide6.QtWidgets import QComboBox, QWidget

from baton_reasoning.app.compare.chooser import MORE, Chooser, arms
from baton_reasoning.app.session.conversation import expected_answer
from baton_reasoning.app.session.run_list import texts_at_once
from baton_reasoning.core.demo_pair import held_out_problems
from baton_reasoning.core.run import Pair, RunSettings
from tests.fakes.scripted import ScriptedEngine

CHOICES = arms(RunSettings())
THREE = [next(choice for choice in CHOICES if choice.name == name) for name in ("small", "baton", "large")]


@pytest.fixture
def chooser(qtbot):
    parent = QWidget()
    qtbot.addWidget(parent)
    made = Chooser("2 + 2?", CHOICES, THREE, "", parent=parent)
    made.show()
    yield made
    parent.close()


def test_what_is_proposed_is_chosen_at_once(chooser, qtbot):
    with qtbot.waitSignal(chooser.accepted):
        chooser.go.click()
    assert chooser.picked() == THREE


def test_four_policies_are_offered_and_the_others_after_more(chooser, qtbot):
    box = chooser.boxes[0]
    four = ["Keywords", "Every step", "Small only", "Large only"]
    assert sorted(titles(box)) == sorted([*four, MORE])
    box.setCurrentIndex(box.findText(MORE))
    assert sorted(titles(box)[:4]) == sorted(four)
    assert len(titles(box)) == len(CHOICES)
    assert box.currentText() == titles(box)[4], "the first of the others"
    qtbot.waitUntil(lambda: box.view().isVisible())
    box.hidePopup()
    rare = next(choice for choice in CHOICES if choice.title == titles(box)[-1])
    made = Chooser("2 + 2?", CHOICES, [rare, *THREE[1:]], "", parent=chooser)
    assert made.picked()[0] is rare, "what was compared last is offered, however rare"


def titles(box: QComboBox) -> list[str]:
    return [box.itemText(index) for index in range(box.count())]


def test_two_columns_are_enough(chooser):
    chooser.boxes[2].setCurrentIndex(0)
    assert chooser.picked() == THREE[:2]
    assert chooser.go.isEnabled()


def test_an_arm_that_these_models_cannot_write_is_refused(chooser):
    choices = arms(RunSettings(), Pair(ScriptedEngine(), ScriptedEngine(name="large")).cards)
    made = Chooser("2 + 2?", choices, choices[:2], "", parent=chooser)
    assert made.go.isEnabled()
    made.boxes[1].setCurrentText(MORE)
    made.boxes[1].setCurrentText("Large only, drafted")
    assert not made.go.isEnabled()


def test_models_elsewhere_set_no_limit():
    assert texts_at_once(Pair(ScriptedEngine(), ScriptedEngine())) > 3


def test_the_right_answer_is_known_for_problems_of_the_demo_pair_alone():
    problem = next(held_out_problems(1))
    assert expected_answer(problem.question) == problem.answer
    assert expected_answer("What is 2 + 2?") == ""
