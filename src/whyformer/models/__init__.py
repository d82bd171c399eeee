"""Models: thin assemblies of the parts."""
