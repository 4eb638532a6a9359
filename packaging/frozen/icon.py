"""`icon.py DRAWING.svg PICTURE [SIZE]`: the program's icon as PNG or ICO, for the systems that want one."""

import sys

from PySide6.QtCore import Qt
from PySide6.QtGui import QGuiApplication, QImage, QPainter
from PySide6.QtSvg import QSvgRenderer

drawing, picture, size = sys.argv[1], sys.argv[2], int(sys.argv[3]) if len(sys.argv) > 3 else 256
application = QGuiApplication(sys.argv)
image = QImage(size, size, QImage.Format.Format_ARGB32)
image.fill(Qt.GlobalColor.transparent)
painter = QPainter(image)
QSvgRenderer(drawing).render(painter)
painter.end()
sys.exit(0 if image.save(picture) else 1)
