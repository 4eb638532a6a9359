"""Exports a conversation as a file: `FORMATS[".json" | ".md" | ".html"](exported) -> str`; JSON can be imported.

exported = gather(store, conversation_id)       # exported.py; or Exported(…) made by hand
write_file(path, FORMATS, exported)             # formats.py; or FORMATS[".html"](exported) -> str
conversation_id = put_into(store, read_json(text))
"""
