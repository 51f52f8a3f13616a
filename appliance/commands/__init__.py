"""The commands of the tool, one module each; ``appliance.cli`` loads the one that is asked for and no other."""
