"""The local viewer: a page in the browser, and the little server behind it."""
