"""Pictures of slices and series: heat, boxes, captions, montages."""
