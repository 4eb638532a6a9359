"""How the demo pair is made: traces, tokenizer, lessons, model, trainer, export. Run `make.sh` here.

Two language models of a few ten and a few hundred thousand parameters learn, from generated traces alone, to
think step by step, to look again at hard steps, and to answer. The small one is smaller and sees fewer tokens;
nothing else sets them apart.
"""
