"""Files become slices, slices become what the network takes."""
