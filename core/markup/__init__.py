"""Reads Markdown with mathematics as rows of a page, of which each character knows its place in the text.

text = clean(written)            # source.py: as long as what was written
for block in read(text): …       # blocks.py: rows, for a window (app/document) or for HTML (core/export)
"""
