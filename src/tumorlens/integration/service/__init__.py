"""Studies in, verdicts out, over HTTP: `tumorlens serve`."""
