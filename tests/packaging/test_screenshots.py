"""The pictures of the window keep the colours that say something."""

from PySide6.QtGui import QColor, QImage

from baton_reasoning.app.toolkit.theme.colours import LIGHT
from screenshots import COLOURS, with_palette


def test_a_word_in_red_stays_red_among_many_shades_and_white_apart_from_the_ground():
    image = QImage(100, 100, QImage.Format.Format_RGB32)
    image.fill(QColor(LIGHT.background))
    shades = [QColor(168 + place % 8, 72 + place // 8 % 8, place // 64) for place in range(400)]
    assert len(shades) > COLOURS
    for place, shade in enumerate(shades):
        for row in range(5):
            image.setPixelColor(place % 100, 5 * (place // 100) + row, shade)
    rare = {(0, 90): LIGHT.danger, (1, 90): LIGHT.surface}
    for (x, y), colour in rare.items():
        image.setPixelColor(x, y, QColor(colour))
    kept = with_palette(image)
    assert {place: kept.pixelColor(*place).name() for place in rare} == rare
    assert kept.pixelColor(99, 99).name() == LIGHT.background
