"""How well trading goes, incrementally: each update O(1), each state plain data that continues to the same bits."""
