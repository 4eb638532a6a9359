"""Stores conversations, runs and batches in one SQLite file that survives a kill and a full disk.

    with Store.open(paths.store) as store:  # store.py; raises StoreError
        store.conversations                 # conversations.py: trees of problems, with full-text search
        store.runs                          # runs.py: events and cost of answers; ids are those of exchanges and jobs
        store.batches                       # batches.py: jobs, claimed by one program each, and their results
        store.file_hashes                   # file_hashes.py: the SHA-256 of model files
        store.deleted()                     # deleted.py: what can be restored for 30 days

Every method may be called from any thread. Reads never wait. Writes are made by the one writer thread: most wait for
it, and raise StoreError. What must not be lost, such as an answer, is tried again until it succeeds; its future tells
at once whether the first try did.
"""
