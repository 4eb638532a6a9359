"""Exports a conversation as JSON, which can be imported, as Markdown or as an HTML page.

conversation = gather(store, id)                 # json_format.py
write_file(path, FORMATS, conversation)          # formats.py; or FORMATS[".html"](conversation) -> str
id = put_into(store, read_json(text))
"""
