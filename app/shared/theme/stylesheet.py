"""The one style sheet and the palette, both made from `Colours`.

The palette colours what Fusion draws by itself; the sheet does the rest. A widget says what it is with
`set_role(widget, Role.CARD)`; nothing else in the program writes style sheets.
"""

from enum import Enum

from PySide6.QtGui import QColor, QPalette
from PySide6.QtWidgets import QWidget

from app.shared.theme.colours import Colours, blend


class Role(Enum):
    """What a widget is to the reader, where its class does not already say so."""

    BAR = "bar"  # a strip at the window's edge
    CARD = "card"  # a rounded sheet on the background
    TOAST = "toast"  # a rounded sheet over the page
    BUBBLE = "bubble"  # what the person wrote
    TITLE = "title"  # the head of a page
    HEADING = "heading"  # the head of a section
    CAPTION = "caption"  # small capitals over a list
    MUTED = "muted"
    SMALL = "small"  # says something of the small model
    LARGE = "large"  # says something of the large model
    SUCCESS = "success"
    DANGER = "danger"  # a label that warns, a button that destroys
    PRIMARY = "primary"  # the button that Enter presses
    FLAT = "flat"  # a button without edges
    FIGURE = "figure"  # one big number
    LARGE_FIGURE = "large-figure"  # one of the large model
    ROUND = "round"  # a menu whose corners are cut
    FLOATING = "floating"  # a menu with round corners and a shadow around it
    BARE = "bare"  # a field without edges, inside a card that has them


def set_role(widget: QWidget, role: Role) -> None:
    """Gives the widget its look; may be called again when what it says changes."""
    if widget.property("role") == role.value:
        return  # to polish a widget again takes a tenth of a millisecond, thirty times a second while a text streams
    widget.setProperty("role", role.value)
    widget.style().unpolish(widget)
    widget.style().polish(widget)


def palette(c: Colours) -> QPalette:
    """The same colours for everything that Fusion paints by itself."""
    result = QPalette()
    roles = QPalette.ColorRole
    for role, colour in (
        (roles.Window, c.background),
        (roles.WindowText, c.text),
        (roles.Base, c.surface),
        (roles.AlternateBase, c.background),
        (roles.Text, c.text),
        (roles.PlaceholderText, c.muted),
        (roles.Button, c.surface),
        (roles.ButtonText, c.text),
        (roles.BrightText, c.danger),
        (roles.ToolTipBase, c.surface),
        (roles.ToolTipText, c.text),
        (roles.Highlight, c.selection),
        (roles.HighlightedText, c.text),
        (roles.Accent, c.accent),
        (roles.Link, c.small),
        (roles.LinkVisited, c.small),
        (roles.Light, c.surface),
        (roles.Midlight, c.panel),
        (roles.Mid, c.border),
        (roles.Dark, c.outline),
        (roles.Shadow, c.border),
    ):
        result.setColor(role, QColor(colour))
    faint = QColor(blend(c.surface, c.muted, 0.6))
    for role in (roles.WindowText, roles.Text, roles.ButtonText, roles.HighlightedText):
        result.setColor(QPalette.ColorGroup.Disabled, role, faint)
    return result


def stylesheet(c: Colours, point_size: float) -> str:
    """The sheet for the whole application; `point_size` is that of running text."""
    faint = blend(c.surface, c.muted, 0.6)
    tick = "white" if c.on_accent == "#ffffff" else "black"
    handle = blend(c.background, c.outline, 0.55)
    return f"""
    QMainWindow, QDialog, QStackedWidget {{ background: {c.background}; }}
    QToolTip {{
        background: {c.surface}; color: {c.text}; border: 1px solid {c.border}; border-radius: 5px; padding: 5px 7px; }}

    *[role="bar"] {{ background: {c.surface}; }}
    *[role="card"] {{ background: {c.surface}; border: 1px solid {c.border}; border-radius: 10px; }}
    *[role="toast"] {{ background: {c.surface}; border: 1px solid {c.outline}; border-radius: 10px; }}
    *[role="bubble"] {{ background: {c.panel}; border: none; border-radius: 10px; }}
    QLabel[role="title"] {{ font-size: {point_size * 1.3:.1f}pt; font-weight: 700; }}
    QLabel[role="heading"] {{ font-weight: 600; }}
    QLabel[role="caption"] {{ font-size: {point_size * 0.85:.1f}pt; font-weight: 600; color: {c.muted}; }}
    QLabel[role="large-figure"] {{ color: {c.large}; }}
    QLabel[role="figure"], QLabel[role="large-figure"] {{ font-size: {point_size * 1.4:.1f}pt; font-weight: 700; }}
    QLabel[role="muted"] {{ color: {c.muted}; }}
    QLabel[role="small"] {{ color: {c.small}; }}
    QLabel[role="large"] {{ color: {c.large}; }}
    QLabel[role="success"] {{ color: {c.success}; }}
    QLabel[role="danger"] {{ color: {c.danger}; }}

    QPushButton, QToolButton, QComboBox {{
        background: {c.surface}; color: {c.text};
        border: 1px solid {c.border}; border-radius: 7px; padding: 5px 12px; }}
    QToolButton {{ padding: 5px 8px; }}
    QPushButton:hover, QToolButton:hover, QComboBox:hover {{ background: {c.panel}; }}
    QPushButton:pressed, QToolButton:pressed, QToolButton:checked, QPushButton:checked {{
        background: {c.panel}; border-color: {c.outline}; }}
    QPushButton:focus, QToolButton:focus, QComboBox:focus {{ border-color: {c.accent}; }}
    QPushButton:disabled, QToolButton:disabled, QComboBox:disabled {{ color: {faint}; }}
    QPushButton[role="primary"] {{
        background: {c.accent}; color: {c.on_accent}; border-color: {c.accent}; font-weight: 600; }}
    QPushButton[role="primary"]:hover {{ background: {blend(c.accent, c.on_accent, 0.12)}; }}
    QPushButton[role="primary"]:focus {{ border-color: {c.small}; }}
    QPushButton[role="primary"]:disabled {{
        background: {c.panel}; color: {faint}; border-color: {c.border}; }}
    QPushButton[role="danger"] {{ color: {c.danger}; }}
    QPushButton[role="danger"]:hover {{
        background: {c.danger}; color: {c.on_danger}; border-color: {c.danger}; }}
    *[role="flat"] {{ background: transparent; border-color: transparent; }}
    *[role="flat"]:hover {{ background: {c.panel}; }}
    *[role="flat"]:checked {{ background: {c.panel}; font-weight: 600; }}
    *[role="flat"]:focus {{ border-color: {c.accent}; }}
    QComboBox::drop-down {{ border: none; width: 22px; }}
    QComboBox::down-arrow {{ image: url("icons:chevron-down-grey.svg"); width: 12px; height: 12px; }}
    QPushButton::menu-indicator, QToolButton::menu-indicator {{
        image: url("icons:chevron-down-grey.svg"); width: 12px; height: 12px;
        subcontrol-origin: padding; subcontrol-position: right center; right: 5px; }}

    QLineEdit, QPlainTextEdit, QTextEdit, QSpinBox, QDoubleSpinBox {{
        background: {c.surface}; color: {c.text}; selection-background-color: {c.selection};
        selection-color: {c.text}; border: 1px solid {c.outline}; border-radius: 7px; padding: 5px 8px; }}
    QLineEdit:focus, QPlainTextEdit:focus, QTextEdit:focus, QSpinBox:focus, QDoubleSpinBox:focus {{
        border-color: {c.accent}; }}
    QSpinBox, QDoubleSpinBox {{ padding-right: 20px; }}
    QAbstractSpinBox::up-button, QAbstractSpinBox::down-button {{
        border: none; background: transparent; width: 18px; }}
    QAbstractSpinBox::up-arrow {{ image: url("icons:chevron-up-grey.svg"); width: 10px; height: 10px; }}
    QAbstractSpinBox::down-arrow {{ image: url("icons:chevron-down-grey.svg"); width: 10px; height: 10px; }}
    QCheckBox, QRadioButton {{ spacing: 8px; }}
    QCheckBox::indicator, QRadioButton::indicator {{
        width: 14px; height: 14px; background: {c.surface}; border: 1px solid {c.outline}; border-radius: 4px; }}
    QCheckBox::indicator:checked {{
        background: {c.accent}; border-color: {c.accent}; image: url("icons:check-{tick}.svg"); }}
    QRadioButton::indicator {{ border-radius: 8px; }}
    QRadioButton::indicator:checked {{ width: 6px; height: 6px; border: 5px solid {c.accent}; }}
    QCheckBox::indicator:focus, QRadioButton::indicator:focus {{ border: 2px solid {c.accent}; }}
    QCheckBox::indicator:disabled, QRadioButton::indicator:disabled {{ border-color: {c.border}; }}
    QSlider::groove:horizontal {{ height: 4px; background: {c.border}; border-radius: 2px; }}
    QSlider::sub-page:horizontal {{ background: {c.outline}; border-radius: 2px; }}
    QSlider::handle:horizontal {{
        width: 14px; height: 14px; margin: -6px 0; border-radius: 8px;
        background: {c.surface}; border: 1px solid {c.outline}; }}
    QSlider::handle:horizontal:focus {{ border-color: {c.accent}; background: {c.accent}; }}
    QTextBrowser {{ background: transparent; border: none; padding: 0; }}
    *[role="bare"], *[role="bare"]:focus {{ background: transparent; border: none; }}

    QTabBar::tab {{
        background: transparent; color: {c.muted}; border: none; border-bottom: 2px solid transparent;
        padding: 7px 2px; margin-right: 14px; }}
    QTabBar::tab:selected {{ color: {c.text}; border-bottom-color: {c.accent}; }}
    QTabBar::tab:hover {{ color: {c.text}; }}
    QTabWidget::pane {{ border: none; border-top: 1px solid {c.border}; }}

    QAbstractItemView {{
        background: {c.surface}; color: {c.text}; border: none; outline: none;
        selection-background-color: {c.panel}; selection-color: {c.text}; gridline-color: {c.border}; }}
    QListView::item, QTreeView::item {{ padding: 6px 8px; border-radius: 6px; }}
    QListView::item:hover, QTreeView::item:hover {{ background: {c.background}; }}
    QListView::item:selected, QTreeView::item:selected {{ background: {c.panel}; color: {c.text}; }}
    QTableView::item {{ padding: 0 8px; }}
    QHeaderView::section {{
        background: {c.surface}; color: {c.muted}; border: none;
        border-bottom: 1px solid {c.border}; padding: 7px 8px; }}
    QMenu {{ background: {c.surface}; border: 1px solid {c.border}; padding: 4px; }}
    QMenu[role="round"], QMenu[role="floating"] {{ border-radius: 9px; }}
    QMenu[role="floating"] {{ margin: 10px; }}
    QMenu::item {{ padding: 6px 22px 6px 12px; border-radius: 5px; }}
    QMenu::item:selected {{ background: {c.panel}; }}
    QMenu::separator {{ height: 1px; background: {c.border}; margin: 4px 6px; }}
    QGroupBox {{ border: 1px solid {c.border}; border-radius: 8px; margin-top: 1.2em; padding: 10px; }}
    QGroupBox::title {{ subcontrol-origin: margin; left: 10px; color: {c.muted}; }}

    QScrollArea {{ background: transparent; border: none; }}
    QAbstractScrollArea::corner {{ background: transparent; border: none; }}
    QSplitter::handle {{ background: {c.border}; }}
    QSplitter::handle:horizontal {{ width: 1px; }}
    QSplitter::handle:vertical {{ height: 1px; }}
    QProgressBar {{
        background: {c.panel}; border: none; border-radius: 4px; max-height: 8px; color: transparent; }}
    QProgressBar::chunk {{ background: {c.success}; border-radius: 4px; }}
    QScrollBar {{ background: transparent; border: none; }}
    QScrollBar:vertical {{ width: 11px; }}
    QScrollBar:horizontal {{ height: 11px; }}
    QScrollBar::handle {{ background: {handle}; border-radius: 3px; margin: 2px; }}
    QScrollBar::handle:hover {{ background: {c.outline}; }}
    QScrollBar::handle:vertical {{ min-height: 32px; }}
    QScrollBar::handle:horizontal {{ min-width: 32px; }}
    QScrollBar::add-line, QScrollBar::sub-line {{ width: 0; height: 0; }}
    QScrollBar::add-page, QScrollBar::sub-page {{ background: transparent; }}
    QStatusBar {{ background: {c.surface}; color: {c.muted}; }}
    QStatusBar::item {{ border: none; }}
    """
