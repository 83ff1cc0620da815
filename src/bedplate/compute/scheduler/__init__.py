"""Who runs where, and when: placement policies; queue and quotas follow."""
