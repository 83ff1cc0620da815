"""The service's use cases: jobs that are submitted, queued, placed, run in processes of their own, watched and stopped."""
