"""What all engines on a server share: a connection that can be cut, retries, prefetching, usage.

engine.py ──► session.py ──► prefetch.py ──► response_reader.py ──► transport.py
    │                                              │
    └──► state.py: status, for the window          └──► protocol.py: requests and answers of one kind of server
                                                        (llama_server.py, openai_completions.py)
"""
