"""The command line program `baton`, without a window. Imports no Qt."""
