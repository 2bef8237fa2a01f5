"""An image becomes the input tensor: geometry, decoding, preprocessing."""
