"""Engines on servers: a connection that can be cut, retries, prefetching, usage, and two kinds of protocol.

engine.py ──► prefetch.py ──► response_reader.py ──► transport.py
    │                               │
    └──► state.py: status,          └──► protocol.py: requests and answers of one kind of server
         for the window                  (llama_server.py, openai_completions.py)
"""
