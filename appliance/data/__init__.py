"""Market data from outside: files, a simulated market, session calendars, and the checks before anything is used."""
