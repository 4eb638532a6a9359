"""What all engines on a server share: a connection that can be cut, faults and retries, reading along, the bill.

session.py ──► dialect.py          what to ask and how to understand the answer (llama_server.py,
    │                              openai_completions.py)
    └──► stream.py ──► line.py     one streamed answer over one connection
"""
