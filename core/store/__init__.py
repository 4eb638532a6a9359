"""Stores conversations, runs and batches in one SQLite file that survives a kill and a full disk.

    with Store.open(paths.store) as store:  # store.py; raises StoreError
        store.conversations                 # conversations.py: trees of problems, with full-text search
        store.runs                          # runs.py: the events of each answer; the id is that of its exchange or job
        store.batches                       # batches.py: jobs, claimed by one program each, and their results

Every method may be called from any thread. Writes wait for the one writer thread, and raise StoreError; reads never
wait. `put_later` and the like, which the window uses, do not block, and are tried again until they succeed.
"""
