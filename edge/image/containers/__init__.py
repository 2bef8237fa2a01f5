"""What Pillow does not read, or not rightly, of the containers of images."""
