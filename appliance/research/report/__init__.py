"""A result as one page that needs no network: pure functions from data to text, the templates in ``assets``."""
