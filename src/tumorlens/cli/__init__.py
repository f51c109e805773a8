"""The command ``tumorlens``: parse, call, print; nothing else.

`main` finds the verb, which lies in `verbs`; the modules here are what verbs share.
"""
