"""Which photos belong together: near-duplicates, copies, names, folders, times."""
