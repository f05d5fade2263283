"""PROFILES → GROUPS: which of them? Filters, and the people who match them.

One filter has four forms, each of which leads to the others: the Python words
(:mod:`.words`), a JSON document (:mod:`.document`), SQL (:mod:`.compile`) and an English
sentence (:mod:`.sentence`). Left neighbour: ``people`` (what they are like). Right neighbour:
``messages`` (what we say to them). The compiler builds expressions over the tables of
``store``; no Flask here.
"""
