"""How folders, lists and archives of photos are to be understood."""
