"""Engines on servers: connections that can be cut, retries, prefetching, usage, and the protocol of each server.

servers.py ──► engine.py ──► stream.py ──► connection.py
                   │             │
                   │             └──► protocol.py: requests and answers of one kind of server
                   └──► status.py     (llama_server.py, ollama.py, openai.py)
"""
