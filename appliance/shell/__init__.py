"""Clock, socket and disk: everything in here touches the machine; what it decides is decided in ``core``."""
