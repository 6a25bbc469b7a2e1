"""The canary: sends made-up readings, waits for them at the other end, and says so when they do not come. Shares nothing."""
