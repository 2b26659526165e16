"""Evidence that is pinned by hashes, and two versions of it compared."""
