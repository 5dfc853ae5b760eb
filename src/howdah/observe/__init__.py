"""What the server tells about itself: metrics, status pages, logs."""
