"""Files of other toolchains, one module a format."""
