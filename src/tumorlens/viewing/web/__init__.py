"""The page that judges in the browser: a static folder, and what it is made of."""
