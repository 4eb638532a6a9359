"""Makes one word of a set text stand out, such as the cue that called the large model."""

from PySide6.QtGui import QColor, QFont, QTextCharFormat, QTextCursor, QTextDocument


def mark_word(document: QTextDocument, word: str, colour: str) -> bool:
    """Sets the first `word` in bold over a line of `colour`; False if the text does not hold it."""
    found = document.find(word, 0, QTextDocument.FindFlag.FindWholeWords)
    if found.isNull():
        found = document.find(word)
    if found.isNull() or not word:
        return False
    mark = QTextCharFormat()
    mark.setFontWeight(QFont.Weight.Bold)
    mark.setUnderlineStyle(QTextCharFormat.UnderlineStyle.SingleUnderline)
    mark.setUnderlineColor(QColor(colour))
    QTextCursor(found).mergeCharFormat(mark)
    return True
