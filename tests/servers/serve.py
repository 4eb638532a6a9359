"""A real llama-server in a process of its own: `python serve.py OPTIONS_AS_JSON`, until standard input closes.

Prints its address when it is ready. llama.cpp's server comes as a Python package (xllamacpp), for tests only.
"""

import json
import sys

import xllamacpp


def main() -> None:
    options = json.loads(sys.argv[1])
    params = xllamacpp.CommonParams()
    params.model.path = options["model"]
    params.hostnames = ["127.0.0.1"]
    params.port = options["port"]
    params.n_ctx = options["context"] * options["slots"]
    params.n_parallel = options["slots"]
    params.n_batch = params.n_ubatch = options["batch"]
    params.api_keys = [options["key"]] if options["key"] else []
    params.cache_ram_mib = 0
    params.warmup = False
    params.verbosity = 0
    if options["draft"]:
        speculative = params.speculative
        speculative.types = [xllamacpp.common_speculative_type.COMMON_SPECULATIVE_TYPE_DRAFT_SIMPLE]
        speculative.draft.mparams.path = options["draft"]
        speculative.draft.cpuparams.n_threads = speculative.draft.cpuparams_batch.n_threads = 1
    # Two models and a test share two cores: threads that wait for a busy core spin.
    params.cpuparams.n_threads = params.cpuparams_batch.n_threads = options["threads"] or -1
    server = xllamacpp.Server(params)
    print(server.listening_address, flush=True)
    sys.stdin.read()


main()
