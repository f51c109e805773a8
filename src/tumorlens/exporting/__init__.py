"""The model elsewhere: smaller, in other formats, and how fast it runs on this machine."""
