"""Reads problems from files and from the Hub, in whatever format, and says why a record was refused."""
