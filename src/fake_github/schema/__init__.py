"""GitHub's GraphQL schema, cut to what the platform answers. See NOTICE."""
