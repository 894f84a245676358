"""Results of other tools: probabilities in the forms in which they write them, as soft parcellations.

Needs numpy, scipy and SimpleITK alone. Nothing that a file holds is ever executed: pickles are read by
:mod:`softseg.exchange.plain_pickle`, which knows numbers, texts, lists and arrays and nothing else.
"""
