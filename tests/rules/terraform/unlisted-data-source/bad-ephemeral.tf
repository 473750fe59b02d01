ephemeral "aws_cognito_identity_openid_token_for_developer_identity" "token" {
  identity_pool_id = "pool"
}
