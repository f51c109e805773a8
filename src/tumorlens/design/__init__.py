"""One visual language: colours, type and space that pages, pictures and viewers share."""
