"""Conversations, runs and batches in one SQLite file that survives a kill, a full disk and an older Baton.

    store = Store.open(paths.store, on_trouble=…)   # store.py; raises StoreError; `store.notices`: sentences
    store.purge(older_than)                         # at each opening: what was deleted 30 days ago goes for good
    store.close()                                   # saves what is buffered

    store.conversations                             # conversations.py; ids are uuid4().hex, made by the caller
        .put(conversation_id, StoredExchange(id, parent, problem, settings))   adds to the tree, makes it the shown leaf
        .show(conversation_id, exchange_id)         the leaf to open on next time
        .open(conversation_id) -> StoredConversation   title, exchanges (parents first), leaf
        .recent(limit) -> list[Headline]            newest first; by_day(headlines) groups them
        .search(words, limit) -> list[Found]        full text over problems and answers, never thinking
        .rename(id, title)  .delete(id)  .restore(id)

    store.runs                                      # runs.py; the run of an exchange has the id of the exchange
        .record(run_id) -> Recorder                 goes on if there are events already
        .summary(run_id) -> RunSummary              tokens, large share, answer, a ribbon of at most 96 segments
        .outline(run_id) -> Outline                 all pieces without their tokens: opens 20,000 steps at once
        .events(run_id) -> Iterator[Event]          .trace(run_id) -> Trace
    Recorder.record(events)                         never blocks, never raises; saved within half a second
    Recorder.finish() -> Future[RunSummary]         result() raises StoreError; it is done later, or ask again

    store.batches                                   # batches.py
        .create(name, settings, problems, arms=[StoredArm(name, settings)], seeds=[0]) -> batch id
        .claim(batch, limit, arms=None) -> list[Job]  each job to one claimant, also across programs
        .finish(job, answer, verdict, error)        .give_back(job)      .retry_failed(batch)
        .regrade([(job_id, answer, verdict)])       .results(batch) -> Iterator[ResultRow]
        .totals(batch) -> list[ArmTotals]
        .problems(batch)  .open(batch) -> Batch  .all() -> list[Batch]  .delete  .restore

Every method may be called from any thread. Writes wait for the one writer thread, and raise StoreError; reads never
wait. The window does not wait: `put_later` and the like are tried until they work.
"""
