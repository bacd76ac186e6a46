"""What several tests share: small data, servers, a browser, fixtures."""
