"""What all engines on a server share: a connection that can be cut, retries, prefetching, usage.

engine.py ──► prefetch.py ──► response_reader.py ──► transport.py
    │                               │
    └──► state.py: status,          └──► protocol.py: requests and answers of one kind of server
         for the window                  (llama_server.py, openai_completions.py)
"""
