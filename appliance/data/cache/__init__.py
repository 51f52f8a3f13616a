"""What sources told of the past, kept: in memory, and in a file."""

from appliance.data.cache.counting import CacheStats
from appliance.data.cache.data_cache import CacheLimits, DataCache
from appliance.data.cache.policy import Terms

__all__ = ["CacheLimits", "CacheStats", "DataCache", "Terms"]
