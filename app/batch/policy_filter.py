"""A box that picks the policy whose answers are listed, or all of them."""

from __future__ import annotations

from collections.abc import Sequence

from PySide6.QtCore import QSignalBlocker
from PySide6.QtWidgets import QComboBox

from baton_reasoning.core.batch.running.arms import arm_title
from baton_reasoning.core.store.batches import StoredArm

ALL = "All policies"


def offer_policies(box: QComboBox, arms: Sequence[StoredArm]) -> None:
    """List the arms of a batch by title and keep the choice. The data of an item is the arm's name, None for all."""
    chosen = box.currentData()
    box.setSizeAdjustPolicy(QComboBox.SizeAdjustPolicy.AdjustToContents)  # each batch has other policies
    with QSignalBlocker(box):
        box.clear()
        box.addItem(ALL, None)
        for arm in arms:
            box.addItem(arm_title(arm.name), arm.name)
        box.setCurrentIndex(max(0, box.findData(chosen)))
