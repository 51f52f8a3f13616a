"""Brokers. Each adapter takes the gateway's requests and brings its answers; the gateway trusts none of them."""
