"""Exports a conversation as JSON, which can be imported, as Markdown or as an HTML page.

exported = gather(store, conversation_id)       # exported.py; or Exported(…) made by hand
write_file(path, FORMATS, exported)             # formats.py; or FORMATS[".html"](exported) -> str
conversation_id = put_into(store, read_json(text))
"""
