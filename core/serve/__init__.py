"""`baton serve`: a pair of models behind an OpenAI-compatible endpoint.

access.py       who may ask: key, Host and Origin
schema.py       requests and responses, as OpenAI defines them, with authorship in an extension field
stream.py       one run in a thread, as an asynchronous stream of text
api.py          the routes
request_log.py  a line for each request
server.py       the socket, and limits for connections
"""
