"""Reads Markdown with mathematics as rows of a page, of which each character knows its place in the text.

text = clean(written)            # parser.py: as long as what was written
for block in read(text).blocks:  # blocks.py: rows, for a window (app/document) or for HTML (core/export)
"""
