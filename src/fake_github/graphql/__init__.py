"""The GraphQL API: GitHub's own schema (a slice), executed and type-checked by graphql-core."""
